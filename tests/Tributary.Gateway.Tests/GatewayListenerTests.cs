using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Tributary.Gateway.Tests.Support;

namespace Tributary.Gateway.Tests;

public sealed class GatewayListenerTests
{
    [Fact]
    public async Task Taken_port_is_named_with_the_setting_that_helps()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var port = ((IPEndPoint)other.LocalEndpoint).Port;

        var error = await BindAsync(new GatewayOptions { Port = port });

        Assert.Contains($"port {port} on 127.0.0.1 is taken", error, StringComparison.Ordinal);
        Assert.Contains("gateway.listen", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_fault_in_the_options_is_told_at_once()
    {
        var error = await BindAsync(new GatewayOptions { ListenAddress = "nowhere", Port = 70_000, TlsKeyFile = "key.pem", ConnectionsMax = 0 });

        Assert.Contains("'nowhere'", error, StringComparison.Ordinal);
        Assert.Contains("70000", error, StringComparison.Ordinal);
        Assert.Contains("together", error, StringComparison.Ordinal);
        Assert.Contains("connections", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Missing_certificate_is_named()
    {
        var error = await BindAsync(new GatewayOptions { Port = 0, TlsCertificateFile = "/no/such.crt", TlsKeyFile = "/no/such.key" });

        Assert.Contains("/no/such.crt", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Client_over_the_limit_is_told_so_and_the_next_one_gets_its_place()
    {
        await using var gateway = await TestGateway.StartAsync(o => o with { ConnectionsMax = 1 });
        await using (await gateway.OpenAsync())
        {
            var error = await Assert.ThrowsAsync<PostgresException>(() => gateway.OpenAsync());
            Assert.Equal("53300", error.SqlState);
            Assert.Equal(1, gateway.Listener.Status.SessionsRefused);
        }

        await Wait.UntilAsync(() => gateway.Listener.Status.SessionsNow == 0);
        await (await gateway.OpenAsync()).DisposeAsync();
    }

    [Fact]
    public async Task Silent_connections_beyond_the_limit_leave_soon_and_a_client_is_heard()
    {
        await using var gateway = await TestGateway.StartAsync(o => o with { ConnectionsMax = 1, OverLimitTimeout = TimeSpan.FromMilliseconds(200) });
        await using var first = await gateway.OpenAsync();
        var silent = Enumerable.Range(0, 100).Select(_ => new TcpClient()).ToList();
        await Task.WhenAll(silent.Select(client => client.ConnectAsync(IPAddress.Loopback, gateway.Listener.Port)));

        var error = await Assert.ThrowsAsync<PostgresException>(() => gateway.OpenAsync());

        Assert.Equal("53300", error.SqlState);
        silent.ForEach(static client => client.Dispose());
    }

    [Fact]
    public async Task Stop_lets_a_session_end_and_cuts_it_after_the_drain_time()
    {
        await using var gateway = await TestGateway.StartAsync(o => o with { DrainTimeout = TimeSpan.FromMilliseconds(300) });
        await using var connection = await gateway.OpenAsync();

        await gateway.StopAsync();

        await using var command = new NpgsqlCommand("SELECT 1", connection);
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
        Assert.Equal((1, 1), (gateway.Resolver.Opened, gateway.Resolver.Disposed));
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => gateway.OpenAsync());
    }

    static async Task<string?> BindAsync(GatewayOptions options)
    {
        await using var listener = new GatewayListener(options, TestResolver.ForSocket("/none"), TimeProvider.System, NullLoggerFactory.Instance);
        return (await listener.BindAsync(TestContext.Current.CancellationToken)).Error;
    }
}
