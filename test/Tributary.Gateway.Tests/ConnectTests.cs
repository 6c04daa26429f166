using Tributary.Gateway.Tests.Support;

namespace Tributary.Gateway.Tests;

public sealed class ConnectTests
{
    [Theory]
    [InlineData("user=postgres dbname=postgres options='-c branch=agent-42'")]
    [InlineData("user=postgres dbname=postgres options='-cbranch=agent-42'")]
    [InlineData("user=postgres dbname=postgres options='--branch=agent-42'")]
    [InlineData("user=postgres dbname=postgres options='branch=agent-42'")]
    [InlineData("user=postgres dbname=postgres options='-c tributary.branch=agent-42'")]
    [InlineData("user=postgres.agent-42 dbname=postgres")]
    [InlineData("user=postgres.agent-42")]
    public async Task Psql_reaches_the_branch(string conninfo)
    {
        await using var gateway = await TestGateway.StartAsync();

        var output = await gateway.PsqlAsync(conninfo, "SELECT current_user, current_database()");

        Assert.Equal((0, "postgres|postgres", ""), (output.ExitCode, output.Out, output.Error));
    }

    [Fact]
    public async Task Other_options_reach_the_server_as_they_were_meant()
    {
        await using var gateway = await TestGateway.StartAsync();

        var output = await gateway.PsqlAsync(
            @"user=postgres options='-c work_mem=5MB -c branch=agent-42 -c search_path=a\\ b'", "SHOW work_mem; SHOW search_path");

        Assert.Equal((0, "5MB\na b", ""), (output.ExitCode, output.Out, output.Error));
    }
}
