using Tributary.Contracts;
using Tributary.Server.Diagnosis;
using Tributary.Server.Tests.Support;

namespace Tributary.Server.Tests.Hosting;

/// <summary>From facts to a proposal: nothing is asked and nothing runs.</summary>
public sealed class FollowingProposalTests
{
    static readonly TributaryConfiguration Branches = Production.Configuration(Production.Url("postgresql://app@db.example.com/shop"), "/nowhere").WithBranching("tributary_main");

    static readonly TributaryConfiguration Streamed = Branches with { Branching = Branches.Branching! with { Following = Branching.FollowingMode.Logical } };

    static readonly MachineFacts Machine = new([16, 15], "2.36");

    static readonly ProductionFacts Sound = new()
    {
        Version = "15.6",
        Major = 15,
        IsStandby = false,
        WalLevel = "replica",
        IsSuperuser = false,
        MayReplicate = true,
        FreeSlots = 9,
        FreeSenders = 10,
        PreloadedLibraries = "",
        ClientAddress = "10.1.2.3",
    };

    [Fact]
    public void A_sound_production_is_followed_physically_and_the_reasons_are_its_facts()
    {
        var proposal = Propose(Sound);

        Assert.Equal("physical", proposal.Mode);
        Assert.Empty(proposal.Changes);
        Assert.Contains(proposal.Reasons, reason => reason.Contains("PostgreSQL 15 runs there and is installed here", StringComparison.Ordinal));
        Assert.Contains(proposal.Reasons, reason => reason.Contains("wal_level is replica", StringComparison.Ordinal) && reason.Contains("9 free slots", StringComparison.Ordinal));
    }

    public static TheoryData<string, string, string> Obstacles => new()
    {
        { "standby", "leads to a standby", "name the primary" },
        { "wal", "wal_level is minimal; branches need replica or logical", "ALTER SYSTEM SET wal_level" },
        { "right", "app may not replicate", "ALTER ROLE \"app\" REPLICATION;" },
        { "slots", "0 free, 1 needed", "raise max_replication_slots" },
        { "senders", "1 free, 2 needed", "raise max_wal_senders" },
        { "hba", "refuses a connection for replication: no pg_hba.conf entry", "host replication \"app\" 10.1.2.3/32 scram-sha-256" },
        { "hba6", "refuses a connection for replication", "host replication \"app\" fd00::1/128 scram-sha-256" },
        { "major", "production is PostgreSQL 17, which is not installed here", "apt-get install postgresql-17" },
        { "tablespace", "in the tablespace fast", "DROP TABLESPACE" },
    };

    [Theory]
    [MemberData(nameof(Obstacles))]
    public void What_stands_in_the_way_is_the_reason_and_comes_with_its_mend(string obstacle, string reason, string change)
    {
        var proposal = Propose(obstacle switch
        {
            "standby" => Sound with { IsStandby = true },
            "wal" => Sound with { WalLevel = "minimal" },
            "right" => Sound with { MayReplicate = false },
            "slots" => Sound with { FreeSlots = 0 },
            "senders" => Sound with { FreeSenders = 1 },
            "hba" => Sound with { PhysicalRefusal = "no pg_hba.conf entry for replication connection" },
            "hba6" => Sound with { PhysicalRefusal = "no pg_hba.conf entry for replication connection", ClientAddress = "fd00::1" },
            "major" => Sound with { Major = 17, Version = "17.2" },
            _ => Sound with { Tablespaces = ["fast"] },
        });

        Assert.Null(proposal.Mode);
        Assert.Contains(reason, Assert.Single(proposal.Reasons), StringComparison.Ordinal);
        Assert.Contains(change, Assert.Single(proposal.Changes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hba", "refuses a connection for replication: no pg_hba.conf entry for replication connection (to change that: on production, in pg_hba.conf")]
    [InlineData("tablespace", "in the tablespace fast")]
    [InlineData("major", "production is PostgreSQL 17, which is not installed here")]
    public void Where_no_standby_can_be_and_changes_can_be_read_they_are_streamed_and_the_reasons_say_both(string obstacle, string reason)
    {
        var readable = Sound with { WalLevel = "logical", ServiceRoles = ["rds_superuser"] };

        var proposal = Propose(obstacle switch
        {
            "hba" => readable with { PhysicalRefusal = "no pg_hba.conf entry for replication connection" },
            "tablespace" => readable with { Tablespaces = ["fast"] },
            _ => readable with { Major = 17, Version = "17.2" },
        });

        Assert.Equal("logical", proposal.Mode);
        Assert.Empty(proposal.Changes);
        Assert.Contains("looks like Amazon RDS", proposal.Reasons[0], StringComparison.Ordinal);
        Assert.Contains(reason, proposal.Reasons[1], StringComparison.Ordinal);
        Assert.Contains("wal_level is logical", proposal.Reasons[2], StringComparison.Ordinal);
        Assert.Contains("event triggers are added to production", proposal.Reasons[3], StringComparison.Ordinal);
    }

    [Fact]
    public void A_service_that_lets_nobody_copy_its_files_is_told_what_streaming_needs()
    {
        var proposal = Propose(Sound with { PhysicalRefusal = "no pg_hba.conf entry", ServiceRoles = ["rds_superuser"] });

        Assert.Null(proposal.Mode);
        Assert.Contains("a main that is streamed into needs logical", proposal.Reasons[1], StringComparison.Ordinal);
        Assert.Contains("SET wal_level = 'logical'", Assert.Single(proposal.Changes), StringComparison.Ordinal);
    }

    [Fact]
    public void An_extension_that_is_missing_here_is_an_obstacle_to_streaming_alone()
    {
        var facts = Sound with { WalLevel = "logical", Extensions = ["no_such_extension"] };

        Assert.Equal(CheckOutcome.Warning, Findings(facts).Single(finding => finding.Name == "extension no_such_extension").Outcome);
        Assert.Equal(CheckOutcome.Failed, SourceChecks.Judge(facts, Machine, Streamed).Single(finding => finding.Name == "extension no_such_extension").Outcome);
    }

    [Fact]
    public void A_managed_service_is_named_only_where_its_role_is_found_and_ours_is_none_of_its_superusers()
    {
        var managed = Sound with { MayReplicate = false, ServiceRoles = ["rds_superuser"] };

        Assert.Contains("looks like Amazon RDS or Aurora", Propose(managed).Reasons[0], StringComparison.Ordinal);
        Assert.DoesNotContain(Propose(managed with { IsSuperuser = true }).Reasons, reason => reason.Contains("Amazon", StringComparison.Ordinal));
        Assert.DoesNotContain(Propose(managed with { ServiceRoles = [] }).Reasons, reason => reason.Contains("looks like", StringComparison.Ordinal));
        // A service that lets us in is followed like any other server.
        Assert.Equal("physical", Propose(managed with { MayReplicate = true }).Mode);
    }

    [Theory]
    [InlineData("libc", "2.31", CheckOutcome.Warning)]
    [InlineData("libc", "2.36", CheckOutcome.Ok)]
    [InlineData("libc", null, CheckOutcome.Ok)]
    [InlineData("icu", "153.14", CheckOutcome.Ok)]
    [InlineData("builtin", "1", CheckOutcome.Ok)]
    public void Another_version_of_what_sorts_text_is_a_warning_and_no_obstacle(string provider, string? version, CheckOutcome expected)
    {
        var facts = Sound with { Collation = "de_DE.UTF-8", CollationProvider = provider, CollationVersion = version };

        Assert.Equal(expected, Findings(facts).Single(finding => finding.Name == "order of text").Outcome);
        Assert.Equal("physical", Propose(facts).Mode);
    }

    [Fact]
    public void What_costs_only_certainty_is_a_warning()
    {
        var findings = Findings(Sound with { HasChecksums = false, PreloadedLibraries = null });

        Assert.Equal(["data checksums", "preloaded libraries"], findings.Where(finding => finding.Outcome == CheckOutcome.Warning).Select(finding => finding.Name));
        Assert.Contains(findings, finding => finding.Fix?.Contains("GRANT pg_read_all_settings TO \"app\";", StringComparison.Ordinal) == true);
    }

    [Theory]
    [InlineData("", "tributary_main")]
    [InlineData("other", "tributary_main")]
    [InlineData("tributary_main", "tributary_main_2")]
    [InlineData("tributary_main tributary_main_2 x", "tributary_main_3")]
    public void A_slot_of_another_follower_is_left_alone(string taken, string expected)
    {
        var slots = taken.Split(' ', StringSplitOptions.RemoveEmptyEntries);

        Assert.Equal(expected, FollowingProposal.SlotName("tributary_main", slots, ownsSlot: false));
        Assert.Equal("tributary_main", FollowingProposal.SlotName("tributary_main", slots, ownsSlot: true));
    }

    [Theory]
    [InlineData(1, 500, 64)]
    [InlineData(100, 500, 200)]
    [InlineData(100, 120, 120)]
    [InlineData(null, 500, 64)]
    [InlineData(1, 10, 10)]
    [InlineData(1, 0, 1)]
    public void The_pool_is_limited_by_the_size_of_production_and_by_the_disk(int? productionGibibytes, int freeGibibytes, int expectedGibibytes) =>
        Assert.Equal((long)expectedGibibytes << 30, FollowingProposal.PoolBytes(64L << 30, (long?)productionGibibytes << 30, ((long)freeGibibytes << 30) + 5));

    static IReadOnlyList<DoctorCheck> Findings(ProductionFacts facts) => SourceChecks.Judge(facts, Machine, Branches);

    static FollowingProposalResponse Propose(ProductionFacts facts) => FollowingProposal.Of(facts, Findings(facts), SourceChecks.Judge(facts, Machine, Streamed));
}
