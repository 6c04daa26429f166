using Npgsql;
using Tributary.Gateway.Tests.Support;

namespace Tributary.Gateway.Tests.Authentication;

public sealed class BranchAuthenticatorTests
{
    const int Protocol30 = 3 << 16;

    [Fact]
    public async Task Wrong_password_is_refused_as_by_Postgres()
    {
        await using var gateway = await TestGateway.StartAsync();

        var output = await gateway.PsqlAsync("user=postgres options=branch=agent-42", "SELECT 1", password: "guess");

        Assert.Equal(2, output.ExitCode);
        Assert.Contains("FATAL:  password authentication failed for user \"postgres\"", output.Error, StringComparison.Ordinal);
        Assert.Equal(1, gateway.Listener.Status.AuthenticationFailures);
        Assert.Equal(0, gateway.Resolver.Opened);
    }

    [Fact]
    public async Task Unknown_branch_and_wrong_password_look_the_same()
    {
        await using var gateway = await TestGateway.StartAsync();

        var known = await AttemptAsync(gateway, TestGateway.Branch, "guess");
        var unknown = await AttemptAsync(gateway, "agent-43", "guess");
        var again = await AttemptAsync(gateway, "agent-43", "guess");

        Assert.Contains("C28P01", known, StringComparison.Ordinal);
        Assert.Equal(known, unknown.Replace("agent-43", TestGateway.Branch, StringComparison.Ordinal));
        Assert.Equal(unknown, again);
        Assert.Equal(0, gateway.Resolver.Opened);
    }

    [Fact]
    public async Task Salt_of_a_name_is_steady_whether_the_branch_exists_or_not()
    {
        await using var gateway = await TestGateway.StartAsync();

        Assert.Equal(await SaltAsync(gateway, TestGateway.Branch), await SaltAsync(gateway, TestGateway.Branch));
        Assert.Equal(await SaltAsync(gateway, "agent-43"), await SaltAsync(gateway, "agent-43"));
        Assert.NotEqual(await SaltAsync(gateway, "agent-43"), await SaltAsync(gateway, TestGateway.Branch));
    }

    [Theory]
    [InlineData("n")]
    [InlineData("y")]
    public async Task Client_that_binds_no_channel_is_admitted(string flag)
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await client.SendStartupAsync(Protocol30, ("user", "postgres"), ("options", "branch=agent-42"));

        Assert.EndsWith("R 12;", await client.AuthenticateAsync(TestGateway.Password, flag), StringComparison.Ordinal);

        Assert.Equal((byte)'R', (await client.ReadFrameAsync()).Type);
    }

    [Theory]
    [InlineData("p=tls-server-end-point,,n=,r=abc", "SCRAM-SHA-256", "channel binding")]
    [InlineData("n,a=someone,n=,r=abc", "SCRAM-SHA-256", "authorization identity")]
    [InlineData("n,,m=x,n=,r=abc", "SCRAM-SHA-256", "extension")]
    [InlineData("n,,n=,r=", "SCRAM-SHA-256", "nonce")]
    [InlineData("", "SCRAM-SHA-256", "expected")]
    [InlineData("n,,n=,r=abc", "SCRAM-SHA-256-PLUS", "mechanism")]
    public async Task Malformed_first_message_is_a_protocol_violation(string clientFirst, string mechanism, string expected)
    {
        await using var gateway = await TestGateway.StartAsync();
        await using var client = await gateway.ConnectRawAsync();
        await client.SendStartupAsync(Protocol30, ("user", "postgres"), ("options", "branch=agent-42"));
        await client.ReadFrameAsync();

        await client.SendInitialAsync(clientFirst, mechanism);

        var error = await client.ReadErrorAsync();
        Assert.Equal("08P01", error.SqlState);
        Assert.Contains(expected, error.Message + error.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rotated_password_counts_at_once()
    {
        await using var gateway = await TestGateway.StartAsync();
        await (await gateway.OpenAsync()).DisposeAsync();

        gateway.Resolver.Credentials[TestGateway.Branch] = new(TestGateway.Branch, "another", "2");

        var error = await Assert.ThrowsAsync<PostgresException>(() => gateway.OpenAsync());
        Assert.Equal("28P01", error.SqlState);
    }

    static async Task<string> AttemptAsync(TestGateway gateway, string branch, string password)
    {
        await using var client = await gateway.ConnectRawAsync();
        await client.SendStartupAsync(Protocol30, ("user", "postgres"), ("options", $"branch={branch}"));
        return await client.AuthenticateAsync(password);
    }

    static async Task<string> SaltAsync(TestGateway gateway, string branch)
    {
        await using var client = await gateway.ConnectRawAsync();
        await client.SendStartupAsync(Protocol30, ("user", "postgres"), ("options", $"branch={branch}"));
        await client.ReadFrameAsync();
        await client.SendInitialAsync("n,,n=,r=abc");
        var challenge = await client.ReadFrameAsync();
        return System.Text.Encoding.ASCII.GetString(challenge.Body.Span[4..]).Split(',')[1];
    }
}
