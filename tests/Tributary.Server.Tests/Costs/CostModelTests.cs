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

    static readonly CostMeasures Measured = new(DeltaShare: 0.3, ActiveShare: 0.5, CreateSeconds: null)
    {
        Accounts = [new CostAccount("ann", 2, 4_000_000_000, RunSeconds: 7200, CpuSeconds: 60, Connections: 5, ByteSeconds: 4e9 * 730 * 3600) { DeletedBranches = 7 }, new CostAccount(null, 1, 0, 0, 0, 0, 0)],
    };

    [Fact]
    public void Dump_and_restore_pays_for_every_copy_all_month()
    {
        var row = CostModel.Compute(Request, CostMeasures.None).Rows[0];

        // 10 × 100 GB; 10 × 2 × 730 h; 100,000 MB ÷ 50 MB/s.
        Assert.Equal(CostMethod.DumpRestore, row.Method);
        Assert.Equal((1000, 100, 14600, 730, 830, 2000), (row.StorageGb, Math.Round(row.StorageCost, 6), row.VcpuHours, Math.Round(row.ComputeCost, 6), Math.Round(row.TotalCost, 6), row.CreateSeconds));
    }

    [Fact]
    public void Branching_pays_for_one_copy_the_changes_and_the_time_awake()
    {
        var row = CostModel.Compute(Request, CostMeasures.None).Rows[1];

        // 100 GB + 10 × 1 GB; (4 + 10 × 2 × 0.25) × 730 h.
        Assert.Equal(CostMethod.Branching, row.Method);
        Assert.Equal((110.0, 11.0, 6570.0, 328.5, 339.5, 0.2), (Math.Round(row.StorageGb, 6), Math.Round(row.StorageCost, 6), row.VcpuHours, Math.Round(row.ComputeCost, 6), Math.Round(row.TotalCost, 6), row.CreateSeconds));
    }

    [Fact]
    public void What_is_given_goes_over_what_was_measured_and_that_over_the_assumption()
    {
        var open = Request with { DeltaShare = null, BranchCreateSeconds = null };

        Assert.Equal((0.01, FigureOrigin.Given), Share(CostModel.Compute(Request, Measured)));
        Assert.Equal((0.3, FigureOrigin.Measured), Share(CostModel.Compute(open, Measured)));
        Assert.Equal((CostRequest.DeltaShareAssumed, FigureOrigin.Assumed), Share(CostModel.Compute(open, CostMeasures.None)));

        static (double, FigureOrigin) Share(CostResponse cost) => (cost.Assumptions.DeltaShare!.Value, cost.DeltaShareOrigin);
    }

    [Fact]
    public void The_share_of_time_in_which_branches_have_run_is_measured_too()
    {
        var open = Request with { ActiveShare = null };

        Assert.Equal((0.5, FigureOrigin.Measured), Share(CostModel.Compute(open, Measured)));
        Assert.Equal((0.25, FigureOrigin.Given), Share(CostModel.Compute(Request, Measured)));
        Assert.Equal((CostRequest.ActiveShareAssumed, FigureOrigin.Assumed), Share(CostModel.Compute(open, CostMeasures.None)));

        static (double, FigureOrigin) Share(CostResponse cost) => (cost.Assumptions.ActiveShare!.Value, cost.ActiveShareOrigin);
    }

    [Fact]
    public void What_branches_have_used_is_priced_by_owner()
    {
        var cost = CostModel.Compute(Request, Measured);

        // 2 h × 2 vCPU at 0.05; 4 GB for a month at 0.10.
        Assert.Equal(0.2 + 0.4, cost.Accounts[0].Cost, 9);
        var lines = CostTable.Lines(cost);
        Assert.Matches("^branches of  number  deleted  own bytes", lines[^3]);
        Assert.Matches(@"^ann +2 +7 +4 GB +2 h +60 s +5 +\$0.6000$", lines[^2]);
        Assert.Matches(@"^\(no owner\) +1 +0 +0 GB +0 ms +0 ms +0 +\$0.0000$", lines[^1]);
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
        var lines = CostTable.Lines(CostModel.Compute(Request with { Agents = [10, 20] }, CostMeasures.None));

        Assert.Equal(1 + 4 + 1 + 3, lines.Count);
        Assert.Matches(@"^ +10  dump and restore +1 TB +\$100 +\$730 +\$830 +33.3 min$", lines[1]);
        Assert.Matches(@"^ +10  branching +110 GB +\$11 +\$32[89] +\$3(39|40) +200 ms$", lines[2]);
    }
}
