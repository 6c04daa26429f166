using System.Text;
using Tributary.Postgres.Scram;

namespace Tributary.Postgres.Tests.Scram;

public sealed class ScramClientTests
{
    const string Salt = "W22ZaJ0SNY7soEsUEjb6gQ==";

    [Fact]
    public void The_exchange_of_RFC_7677_comes_out_as_printed_there_but_for_the_user_name()
    {
        // The RFC's exchange names a user, Postgres's does not; so the server's side here is our own, which is tested by the RFC's figures.
        var client = ScramClient.Begin("pencil", "rOprNGfwEbeRWgbNEkqO", endPointBinding: null, serverBinds: false);
        Assert.True(ScramClientFirst.TryParse(client.ClientFirst, out var first, out _));
        var server = ScramServer.BeginWithNonce(first, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", Convert.FromBase64String(Salt), 4096);

        Assert.True(client.TryProve(server.ServerFirst, out var final));
        var verdict = server.Verify(final, ScramKeys.Derive("pencil", Convert.FromBase64String(Salt), 4096));

        Assert.NotNull(verdict.ServerFinal);
        Assert.True(client.IsProvedBy(verdict.ServerFinal));
    }

    [Fact]
    public void A_server_that_does_not_know_the_password_is_found_out()
    {
        var client = ScramClient.Begin("pencil", null, serverBinds: false);
        Assert.True(ScramClientFirst.TryParse(client.ClientFirst, out var first, out _));
        Assert.True(client.TryProve(ScramServer.Begin(first, Convert.FromBase64String(Salt), 4096).ServerFirst, out _));

        Assert.False(client.IsProvedBy(Encoding.ASCII.GetBytes("v=" + Convert.ToBase64String(new byte[32]))));
        Assert.False(client.IsProvedBy("e=other-error"u8));
    }

    [Theory]
    [InlineData("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")]
    [InlineData("r=nonce,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")]
    [InlineData("r=nonce+,s=,i=4096")]
    [InlineData("r=nonce+,s=?,i=4096")]
    [InlineData("r=nonce+,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0")]
    [InlineData("r=nonce+,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000")]
    [InlineData("r=nonce+,s=W22ZaJ0SNY7soEsUEjb6gQ==")]
    [InlineData("")]
    public void A_malformed_or_hostile_first_message_is_refused(string serverFirst) =>
        Assert.False(ScramClient.Begin("pencil", "nonce", null, serverBinds: false).TryProve(Encoding.ASCII.GetBytes(serverFirst), out _));

    [Fact]
    public void The_flag_says_what_the_client_saw()
    {
        byte[] certificate = [1, 2, 3];

        Assert.StartsWith("p=tls-server-end-point,,", Encoding.ASCII.GetString(ScramClient.Begin("p", certificate, serverBinds: true).ClientFirst), StringComparison.Ordinal);
        Assert.StartsWith("y,,", Encoding.ASCII.GetString(ScramClient.Begin("p", certificate, serverBinds: false).ClientFirst), StringComparison.Ordinal);
        Assert.StartsWith("n,,", Encoding.ASCII.GetString(ScramClient.Begin("p", null, serverBinds: true).ClientFirst), StringComparison.Ordinal);
    }
}
