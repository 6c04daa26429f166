using System.Collections.Concurrent;
using System.Globalization;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Demo.Agents;
using Tributary.Demo.Figures;
using Tributary.Demo.Serving;
using Tributary.Demo.Shop;
using Tributary.Postgres.Programs;

namespace Tributary.Demo;

/// <summary>What many agents cost and did.</summary>
/// <param name="Outcomes">One an agent.</param>
/// <param name="Branches">All their branches as they were while all existed, measured.</param>
/// <param name="PoolBytesGrown">How much fuller the pool was with all of them than before the first.</param>
/// <param name="MemoryBytes">Of all Postgres processes that ran in branches then.</param>
/// <param name="Burst">Create → first row of as many branches again, all requested in one instant.</param>
/// <param name="BurstBytes">What those hold alone, together.</param>
/// <param name="Wake">From the connect to the first row on a sleeping branch, one at a time.</param>
sealed record CrowdFigures(
    IReadOnlyList<FleetOutcome> Outcomes, IReadOnlyList<BranchResponse> Branches, long MainBytes, long PoolBytesGrown, long MemoryBytes,
    Percentiles Burst, long BurstBytes, Percentiles Wake, WitnessVerdict Verdict);

/// <summary>Many agents side by side, on branches that all exist at once; production's witness looks before and after.</summary>
sealed class Crowd(
    DemoOptions options, INarrator narrator, IFreshData fresh, ServerBranches branches, ServerWatch watch, TributaryClient client, TimeProvider time)
{
    /// <summary>The server measures ten branches a second of those that a list has not waited for.</summary>
    const int ListsMax = 120;

    static readonly TimeSpan ListPause = TimeSpan.FromMilliseconds(250);

    const int WakesMeasured = 10;

    public async Task<CrowdFigures> RunAsync(PostgresServer production, string database, OrderArrivals arrivals, CancellationToken cancellationToken)
    {
        narrator.Section($"5. {options.Agents} agents side by side");
        var witness = new ProductionWitness(production.ConnectionString(database), arrivals);
        var before = await witness.LookAsync(cancellationToken);
        var poolBefore = (await watch.NowAsync(cancellationToken)).Branching.PoolUsedBytes ?? 0;

        var (outcomes, atOnce) = await RunAgentsAsync(production, database, cancellationToken);
        var verdict = await witness.CompareAsync(before, cancellationToken);
        TellAgents(outcomes);
        TellWitness(verdict);
        var wake = await MeasureWakesAsync(cancellationToken);
        var (burst, burstBytes) = await MeasureBurstAsync(cancellationToken);
        return new CrowdFigures(
            outcomes, atOnce.Branches, atOnce.Pool.MainBytes ?? 0, (atOnce.Pool.PoolUsedBytes ?? 0) - poolBefore, atOnce.MemoryBytes, burst, burstBytes, wake, verdict);
    }

    async Task<(IReadOnlyList<FleetOutcome> Outcomes, Snapshot AtOnce)> RunAgentsAsync(PostgresServer production, string database, CancellationToken cancellationToken)
    {
        var skus = await AgentFleet.PickSkusAsync(production.ConnectionString(database), options.Agents, cancellationToken);
        if (skus.Count < options.Agents)
            throw new DemoException($"The shop has {skus.Count} products for an agent to examine, fewer than the {options.Agents} agents; give it more --orders.");
        narrator.Line($"A new agent arrives every {options.AgentInterval.TotalMilliseconds:0} ms; each keeps its branch until all have an answer.");
        branches.Close();
        var finished = new Progressing(narrator, "agents with an answer", options.Agents);
        var running = new AgentFleet(fresh, new CountedBranches(branches, finished), production.Port, options.AgentInterval, time)
            .RunAsync(skus, static _ => { }, cancellationToken);
        try
        {
            await Task.WhenAny(finished.All, running).WaitAsync(cancellationToken);
            var atOnce = await MeasureAsync(cancellationToken);
            narrator.Line($"{atOnce.Branches.Count} branches exist now, and {atOnce.Branches.Count(branch => branch.Compute == BranchCompute.Running)} of them run.");
            branches.Open();
            return (await running, atOnce);
        }
        finally
        {
            // Agents give their branches back also when the demonstration is broken off.
            branches.Open();
            await Task.WhenAny(running);
        }
    }

    async Task<Snapshot> MeasureAsync(CancellationToken cancellationToken)
    {
        var status = await watch.NowAsync(cancellationToken);
        return new Snapshot(await ListAsync("agent-", cancellationToken), status.Branching, BranchMemory.ProportionalBytes());
    }

    // A list does not wait for the bytes of very many; each asks for those that the one before lacks.
    async Task<IReadOnlyList<BranchResponse>> ListAsync(string prefix, CancellationToken cancellationToken)
    {
        for (var i = 0; i < ListsMax; i++)
        {
            var listed = await client.ListBranchesAsync(cancellationToken);
            if (!listed.Succeeded)
                throw new DemoException($"The branches cannot be listed: {listed.Problem.Detail}");
            var ours = listed.Value.Branches.Where(branch => branch.Name.StartsWith(prefix, StringComparison.Ordinal)).ToList();
            if (ours.All(branch => branch.ExclusiveBytes is not null))
                return ours;
            await Task.Delay(ListPause, time, cancellationToken);
        }

        throw new DemoException("What the branches hold alone cannot be measured; the server's log says why.");
    }

    sealed record Snapshot(IReadOnlyList<BranchResponse> Branches, BranchingStatusResponse Pool, long MemoryBytes);

    void TellAgents(IReadOnlyList<FleetOutcome> outcomes)
    {
        foreach (var failure in outcomes.Where(outcome => outcome.Failure is not null))
            narrator.Line($"{failure.Agent} has failed: {failure.Failure}");
        var sample = outcomes.Select(outcome => outcome.Pricing).OfType<AgentReport>().Take(3);
        foreach (var report in sample)
            narrator.Line($"{report.Task.Name}: {report.Recommendation}");
        narrator.Table(
            "Three agents went wrong, each on its own branch", ["agent", "what it did", "what it got"],
            [.. outcomes.Select(outcome => outcome.Rogue).OfType<RogueReport>().SelectMany(rogue => rogue.Outcome.Select((line, index) =>
                (IReadOnlyList<string>)[index == 0 ? rogue.Agent : "", index == 0 ? rogue.Statement : "", line]))]);
        if (outcomes.Count(outcome => outcome.Failure is not null) is var failures and > 0)
            throw new DemoException($"{failures} of {outcomes.Count} agents have failed.");
        if (outcomes.Any(outcome => outcome.Rogue is { Escaped: true }))
            throw new DemoException("An agent has reached something outside its branch: the sandbox does not hold.");
    }

    void TellWitness(WitnessVerdict verdict)
    {
        narrator.Table(
            "Production before and after", ["table", "rows", "checksum before", "checksum after", ""],
            [.. verdict.Before.Tables.Zip(verdict.After.Tables, (was, now) =>
                (IReadOnlyList<string>)[was.Table, $"{now.Rows:N0}", was.Checksum, now.Checksum, was == now ? "same" : "DIFFERENT"])]);
        narrator.Line($"Orders: {verdict.Before.Orders:N0} before + {verdict.Arrived:N0} that arrived meanwhile = {verdict.After.Orders:N0} now: {(verdict.OrdersReconcile ? "exact" : "NOT RECONCILED")}.");
        if (!verdict.Unchanged)
            throw new DemoException($"Production is not what it was: {string.Join("; ", verdict.Differences)}");
    }

    async Task<Percentiles> MeasureWakesAsync(CancellationToken cancellationToken)
    {
        var times = new List<TimeSpan>();
        for (var i = 0; i < WakesMeasured; i++)
        {
            var lease = await branches.CreateAsleepAsync($"sleeper-{i}", cancellationToken);
            var started = time.GetTimestamp();
            await FirstRowAsync(lease, cancellationToken);
            times.Add(time.GetElapsedTime(started));
            await branches.DeleteAsync(lease.Name, cancellationToken);
            narrator.Progress("waking sleeping branches", (i + 1.0) / WakesMeasured);
        }

        return new Percentiles(times);
    }

    async Task<(Percentiles Times, long Bytes)> MeasureBurstAsync(CancellationToken cancellationToken)
    {
        var times = new ConcurrentBag<TimeSpan>();
        await Task.WhenAll(Enumerable.Range(0, options.Agents).Select(async i =>
        {
            var started = time.GetTimestamp();
            var lease = await branches.CreateAsync(string.Create(CultureInfo.InvariantCulture, $"burst-{i}"), cancellationToken);
            await FirstRowAsync(lease, cancellationToken);
            times.Add(time.GetElapsedTime(started));
            narrator.Progress("branches requested in one instant", Math.Min(1, (double)times.Count / options.Agents));
        }));
        var all = await ListAsync("burst-", cancellationToken);
        await Task.WhenAll(Enumerable.Range(0, options.Agents).Select(i => branches.DeleteAsync($"burst-{i}", cancellationToken)));
        return (new Percentiles(times), all.Sum(branch => branch.ExclusiveBytes ?? 0));
    }

    static async Task FirstRowAsync(BranchLease lease, CancellationToken cancellationToken)
    {
        await using var source = ShopDataSource.CreateUnpooled(lease.ConnectionString);
        await using var command = source.CreateCommand("SELECT max(created_at) FROM orders");
        await command.ExecuteScalarAsync(cancellationToken);
    }
}

/// <summary>Counts agents that have given their branch back, which is the moment when they have their answer.</summary>
sealed class Progressing(INarrator narrator, string label, int total)
{
    readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
    int _count;

    public Task All => _all.Task;

    public void Advance()
    {
        var count = Interlocked.Increment(ref _count);
        narrator.Progress(label, Math.Min(1, (double)count / total));
        if (count == total)
            _all.TrySetResult();
    }
}

/// <summary>Tells when an agent gives its branch back.</summary>
sealed class CountedBranches(IBranches inner, Progressing progress) : IBranches
{
    public Task<BranchLease> CreateAsync(string name, CancellationToken cancellationToken) => inner.CreateAsync(name, cancellationToken);

    public Task DeleteAsync(string name, CancellationToken cancellationToken)
    {
        progress.Advance();
        return inner.DeleteAsync(name, cancellationToken);
    }
}
