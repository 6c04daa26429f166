using System.Net;
using System.Net.Sockets;
using Tributary.Contracts;
using Tributary.Postgres;
using Tributary.Postgres.Programs;
using Tributary.Server.Diagnosis;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Hosting;

/// <summary>What real servers say, and what is said of those that do not answer as a Postgres should.</summary>
public sealed class ProductionReaderTests
{
    [Theory]
    [MemberData(nameof(TestServers.Majors), MemberType = typeof(TestServers))]
    public async Task Facts_are_read_of_every_version(int major)
    {
        var postgres = await TestServers.ForMajorAsync(major);

        var (facts, failure) = await ProductionReader.ReadAsync(Production.Url(postgres.Url()), tryPhysical: true, Production.Token);

        Assert.Null(failure);
        Assert.Equal((major, "logical", false, true, true), (facts!.Major, facts.WalLevel, facts.IsStandby, facts.IsSuperuser, facts.MayReplicate));
        Assert.Equal(("UTF8", "C.UTF-8", "libc"), (facts.Encoding, facts.Collation, facts.CollationProvider));
        Assert.True(facts.HasChecksums);
        Assert.Null(facts.PhysicalRefusal);
        Assert.Equal("127.0.0.1", facts.ClientAddress);
        Assert.Contains("plpgsql", facts.Extensions);
        Assert.Empty(facts.Tablespaces);
    }

    [Fact]
    public async Task A_refused_replication_connection_a_tablespace_and_a_role_without_rights_are_seen()
    {
        var postgres = await TestServers.StartAsync([]);
        var folder = TestFolder.New("ts");
        PostgresUser.Own(folder);
        await Production.ExecuteAsync(postgres.ConnectionString(), $"CREATE TABLESPACE elsewhere LOCATION '{folder}'");
        await Production.ExecuteAsync(postgres.ConnectionString(), "CREATE ROLE follower LOGIN REPLICATION");
        // A line for all databases does not let a physical connection in, and one for replication alone decides here.
        await File.WriteAllTextAsync(Path.Combine(postgres.DataDirectory, "pg_hba.conf"), "host all all 127.0.0.1/32 trust\nlocal all all trust\n", Production.Token);
        await Production.ExecuteAsync(postgres.ConnectionString(), "SELECT pg_reload_conf()");

        ProductionFacts? facts = null;
        await Production.UntilAsync(
            async () => (facts = (await ProductionReader.ReadAsync(Production.Url($"postgresql://follower@127.0.0.1:{postgres.Port}/postgres"), tryPhysical: true, Production.Token)).Facts) is { PhysicalRefusal: not null },
            "the reloaded rules to hold");

        Assert.Contains("no pg_hba.conf entry for replication connection from host \"127.0.0.1\"", facts!.PhysicalRefusal, StringComparison.Ordinal);
        Assert.Equal(["elsewhere"], facts.Tablespaces);
        Assert.Equal((false, true), (facts.IsSuperuser, facts.MayReplicate));
        Assert.Null(facts.PreloadedLibraries);
        await postgres.DeleteAsync();
    }

    [Fact]
    public async Task A_server_without_TLS_is_named_where_the_URL_asks_for_it()
    {
        var postgres = await TestServers.SharedAsync();

        var failure = await FailureAsync(Production.Url(postgres.Url() + "?sslmode=require"));

        Assert.Contains("has no TLS, and the URL asks for it by sslmode=require", failure.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HTTP/1.1 400 Bad Request\r\n\r\n", "it may not be a Postgres server")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", "cannot connect")]
    public async Task What_is_no_Postgres_is_an_error_of_the_connection(string greeting, string expected)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Production.Token);
        var serving = ServeAsync(listener, greeting, stop.Token);

        var failure = await FailureAsync(Production.Url($"postgresql://u@{listener.LocalEndpoint}/shop"));

        Assert.Contains(expected, failure.Detail, StringComparison.Ordinal);
        Assert.Contains("host and port", failure.Fix, StringComparison.Ordinal);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
    }

    [Fact]
    public async Task A_host_that_does_not_exist_is_told()
    {
        var failure = await FailureAsync(Production.Url("postgresql://u@no-such-host.invalid/shop"));

        Assert.Contains("cannot connect to postgresql://u@no-such-host.invalid:5432/shop", failure.Detail, StringComparison.Ordinal);
    }

    static async Task<DoctorCheck> FailureAsync(PostgresUrl url)
    {
        var (facts, failure) = await ProductionReader.ReadAsync(url, tryPhysical: true, Production.Token);

        Assert.Null(facts);
        Assert.Equal(CheckOutcome.Failed, failure!.Outcome);
        return failure;
    }

    static async Task ServeAsync(TcpListener listener, string greeting, CancellationToken cancellationToken)
    {
        while (true)
        {
            using var client = await listener.AcceptSocketAsync(cancellationToken);
            try
            {
                await client.SendAsync(System.Text.Encoding.ASCII.GetBytes(greeting), cancellationToken);
                client.Shutdown(SocketShutdown.Send);
                // Until the client has had enough, so that the greeting is not lost in a reset.
                while (await client.ReceiveAsync(new byte[1024], cancellationToken) > 0)
                {
                }
            }
            catch (SocketException)
            {
                // The client has hung up.
            }
        }
    }
}
