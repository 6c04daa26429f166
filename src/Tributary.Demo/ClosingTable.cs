using Tributary.Contracts.Costs;
using Tributary.Demo.Agents;
using Tributary.Demo.Figures;
using Tributary.Demo.Serving;

namespace Tributary.Demo;

/// <summary>What this run has measured, and what it means for a terabyte.</summary>
sealed class ClosingTable(INarrator narrator, ServerWatch watch)
{
    public async Task ShowAsync(AgentReport one, CrowdFigures crowd, CancellationToken cancellationToken)
    {
        narrator.Section("6. What this run has measured");
        var status = await watch.NowAsync(cancellationToken);
        var stream = status.Streams[0];
        var timings = crowd.Outcomes.Select(outcome => outcome.Pricing?.Timings ?? outcome.Rogue?.Timings).OfType<AgentTimings>().Append(one.Timings).ToList();
        var firstRow = new Percentiles(timings.Select(timing => timing.FirstRow));
        var age = new Percentiles(crowd.Outcomes.Select(outcome => outcome.Pricing?.DataAge).OfType<TimeSpan>());
        var exclusive = crowd.Branches.Sum(branch => branch.ExclusiveBytes ?? 0);
        var copies = crowd.MainBytes * crowd.Branches.Count;
        narrator.Table("", ["figure", "measured"],
        [
            ["branches at once", $"{crowd.Branches.Count}, while {status.Streams[0].TransactionsApplied:N0} transactions streamed"],
            ["create → first row through the gateway", $"{firstRow}"],
            ["create call alone", $"{new Percentiles(timings.Select(timing => timing.Create))}"],
            [$"the same, {crowd.Burst.Count} requested in one instant", $"{crowd.Burst}"],
            ["wake: connect → first row, asleep", $"{crowd.Wake}"],
            ["age of a branch's data at its first row", $"{age}"],
            ["stream lag, commit → commit in the replica", $"p50 {stream.LagMsP50:0.0} ms, p99 {stream.LagMsP99:0.0} ms"],
            ["exclusive bytes of a branch", crowd.Branches.Count == 0 ? "-" : $"{Mb(exclusive / crowd.Branches.Count)} on average, {Mb(crowd.Branches.Max(branch => branch.ExclusiveBytes ?? 0))} at most"],
            ["all branches and one copy", Copies(crowd, exclusive)],
            [$"the {crowd.Burst.Count} of one instant and one copy", Copies(crowd, crowd.BurstBytes)],
            ["the same as full copies", $"{Mb(copies)}"],
            ["growth of the pool with all branches", Mb(crowd.PoolBytesGrown)],
            ["memory of this process", Mb(status.ResidentBytes)],
            ["memory of all branches' Postgres", crowd.Branches.Count == 0 ? "-" : $"{Mb(crowd.MemoryBytes)}, {Mb(crowd.MemoryBytes / crowd.Branches.Count)} each"],
            ["production's checksums", crowd.Verdict.Unchanged ? "unchanged" : "CHANGED"],
        ]);

        if (crowd.Branches.Count > 0)
            narrator.Line("A branch as of now holds the pages that production has changed since its last checkpoint, and its own; the former it shares with those of the same instant, and most of them with the one before it.");
        var request = new CostRequest();
        // What a branch holds follows from what is written, here and by the agent, and not from the size of the database.
        var cost = CostModel.Compute(
            request,
            new CostMeasures(
                crowd.Branches.Count == 0 ? null : Math.Min(1, exclusive / (double)crowd.Branches.Count / request.DatabaseBytes), ActiveShare: null, firstRow.P50 / 1000));
        var cells = CostTable.Cells(cost);
        narrator.Table("What agents with a database each would cost on 1 TB (tributary cost)", cells[0], [.. cells.Skip(1)]);
        foreach (var line in CostTable.Assumptions(cost))
            narrator.Line(line);
    }

    static string Copies(CrowdFigures crowd, long exclusive) =>
        $"{Mb(crowd.MainBytes + exclusive)} = {1 + ((double)exclusive / crowd.MainBytes):0.000} × one copy ({Mb(crowd.MainBytes)})";

    static string Mb(long bytes) => $"{bytes / 1e6:N1} MB";
}
