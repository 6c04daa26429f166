using Tributary.Contracts.Costs;

namespace Tributary.Server.Tests.Costs;

public sealed class CostModelTests
{
    // 10 agents, 100 GB, 1 % own, a quarter of the time awake, 2 vCPU, follower of 4; storage at 0.10, a vCPU-hour at 0.05.
    static readonly CostRequest Request = new()
    {
        Agents = [10],
        DatabaseBytes = 100_000_000_000,
        DeltaShare = 0.01,
        ActiveShare = 0.25,
        VcpusPerAgent = 2,
        VcpusFollower = 4,
        RestoreMbPerSecond = 50,
        BranchCreateSeconds = 0.2,
        PriceStorageGbMonth = 0.10,
        PriceVcpuHour = 0.05,
    };

    [Fact]
    public void Dump_and_restore_pays_for_every_copy_all_month()
    {
        var row = CostModel.Compute(Request).Rows[0];

        // 10 × 100 GB; 10 × 2 × 730 h; 100,000 MB ÷ 50 MB/s.
        Assert.Equal(CostMethod.DumpRestore, row.Method);
        Assert.Equal((1000, 100, 14600, 730, 830, 2000), (row.StorageGb, Math.Round(row.StorageCost, 6), row.VcpuHours, Math.Round(row.ComputeCost, 6), Math.Round(row.TotalCost, 6), row.CreateSeconds));
    }

    [Fact]
    public void Branching_pays_for_one_copy_the_changes_and_the_time_awake()
    {
        var row = CostModel.Compute(Request).Rows[1];

        // 100 GB + 10 × 1 GB; (4 + 10 × 2 × 0.25) × 730 h.
        Assert.Equal(CostMethod.Branching, row.Method);
        Assert.Equal((110.0, 11.0, 6570.0, 328.5, 339.5, 0.2), (Math.Round(row.StorageGb, 6), Math.Round(row.StorageCost, 6), row.VcpuHours, Math.Round(row.ComputeCost, 6), Math.Round(row.TotalCost, 6), row.CreateSeconds));
    }

    [Fact]
    public void What_is_given_goes_over_what_was_measured_and_that_over_the_assumption()
    {
        var open = Request with { DeltaShare = null, BranchCreateSeconds = null };

        Assert.Equal((0.01, FigureOrigin.Given), Share(CostModel.Compute(Request, measuredDeltaShare: 0.3)));
        Assert.Equal((0.3, FigureOrigin.Measured), Share(CostModel.Compute(open, measuredDeltaShare: 0.3)));
        Assert.Equal((CostRequest.DeltaShareAssumed, FigureOrigin.Assumed), Share(CostModel.Compute(open)));

        static (double, FigureOrigin) Share(CostResponse cost) => (cost.Assumptions.DeltaShare!.Value, cost.DeltaShareOrigin);
    }

    [Fact]
    public void Every_figure_that_does_not_serve_is_told()
    {
        var wrong = new CostRequest { Agents = [], DatabaseBytes = 0, DeltaShare = 2, ActiveShare = double.NaN, BranchCreateSeconds = -1, RestoreMbPerSecond = 0, VcpusPerAgent = -1, PriceVcpuHour = double.NaN };

        Assert.Equal(8, CostModel.Validate(wrong).Count);
        Assert.Empty(CostModel.Validate(Request));
    }

    [Fact]
    public void The_table_has_a_row_pair_for_each_number_of_agents_and_its_assumptions()
    {
        var lines = CostTable.Lines(CostModel.Compute(Request with { Agents = [10, 20] }));

        Assert.Equal(1 + 4 + 1 + 3, lines.Count);
        Assert.Matches(@"^ +10  dump and restore +1 TB +\$100 +\$730 +\$830 +33.3 min$", lines[1]);
        Assert.Matches(@"^ +10  branching +110 GB +\$11 +\$32[89] +\$3(39|40) +200 ms$", lines[2]);
    }
}
