using Tributary.Gateway.Routing;
using Tributary.Gateway.Tests.Support;
using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Tests.Routing;

public sealed class BranchRouteTests
{
    [Theory]
    [InlineData("branch=b1", "b1", "")]
    [InlineData("-c branch=b1", "b1", "")]
    [InlineData("-cbranch=b1 -c work_mem=1MB", "b1", "-c work_mem=1MB")]
    [InlineData("--branch=b1 --work_mem=1MB", "b1", "--work_mem=1MB")]
    [InlineData("-c tributary.branch=b1", "b1", "")]
    [InlineData("  -c  branch=b1\t-d 5 ", "b1", "-d 5")]
    [InlineData("-c branch=b1 -c branch=b2", "b2", "")]
    [InlineData(@"-c search_path=a\ b\\c", null, @"-c search_path=a\ b\\c")]
    [InlineData(@"-c\ branch=b1", null, @"-c\ branch=b1")]
    [InlineData("-c mybranch=b1", null, "-c mybranch=b1")]
    [InlineData("-c", null, "-c")]
    [InlineData("", null, "")]
    [InlineData(@"\", null, "")]
    public void Options_are_parted_as_Postgres_parts_them(string options, string? branch, string remaining) =>
        Assert.Equal((branch, remaining), OptionsParameter.TakeBranch(options));

    [Theory]
    [InlineData("ann.b1", null, "", "b1", "ann")]
    [InlineData("ann.smith.b1", null, "", "b1", "ann.smith")]
    [InlineData("ann.smith", "branch=b1", "", "b1", "ann.smith")]
    [InlineData("ann.smith", null, "b1.branches.test", "b1", "ann.smith")]
    [InlineData("ann", null, "B1.Branches.Test", "b1", "ann")]
    [InlineData("ann.b3", "branch=b1", "b2.branches.test", "b1", "ann.b3")]
    public void Most_explicit_name_wins(string user, string? options, string host, string branch, string role)
    {
        Assert.True(TryFind(user, options, host, out var route, out _));
        Assert.Equal((branch, role), (route!.Branch, route.User));
        Assert.Equal(role, route.Parameters.Single(p => p.Key == "user").Value);
    }

    [Theory]
    [InlineData("ann", null, "")]
    [InlineData(".b1", null, "")]
    [InlineData("ann.B1", null, "")]
    [InlineData("ann.", null, "")]
    [InlineData("ann", "branch=", "")]
    [InlineData("ann", "branch=-x", "")]
    [InlineData("ann", "branch=../x", "")]
    [InlineData("ann", null, "branches.test")]
    [InlineData("ann", null, "b1.elsewhere.test")]
    [InlineData("ann", null, "a.b.branches.test")]
    public void Without_a_branch_name_the_error_shows_both_ways(string user, string? options, string host)
    {
        Assert.False(TryFind(user, options, host, out _, out var error));
        Assert.Equal("28000", error!.SqlState);
        Assert.Contains("options='-c branch=NAME'", error.Hint, StringComparison.Ordinal);
        Assert.Contains("user=USER.NAME", error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void Database_named_after_the_uncut_user_is_cut_with_it()
    {
        var startup = new StartupMessage(0, [new("user", "ann.b1"), new("database", "ann.b1"), new("_pq_.x", "1")]);

        Assert.True(BranchRoute.TryFind(startup, "", null, out var route, out _));

        Assert.Equal([new("user", "ann"), new("database", "ann")], route!.Parameters);
    }

    [Fact]
    public async Task Psql_without_a_branch_is_told_how_to_name_one()
    {
        await using var gateway = await TestGateway.StartAsync();

        var output = await gateway.PsqlAsync("user=postgres dbname=postgres", "SELECT 1");

        Assert.Equal(2, output.ExitCode);
        Assert.Contains("FATAL:  no branch is named", output.Error, StringComparison.Ordinal);
        Assert.Contains("HINT:  Name the branch in the connection's options", output.Error, StringComparison.Ordinal);
    }

    static bool TryFind(string user, string? options, string host, out BranchRoute? route, out ErrorResponse? error)
    {
        var parameters = new List<KeyValuePair<string, string>> { new("user", user) };
        if (options is not null)
            parameters.Add(new("options", options));
        return BranchRoute.TryFind(new StartupMessage(0, parameters), host, "branches.test", out route, out error);
    }
}
