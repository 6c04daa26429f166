using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Server.Hosting;
using Tributary.Server.Tests.Support;
using Tributary.Testing;

namespace Tributary.Server.Tests.Api;

/// <summary>A server is stopped through its API where it was started to run until it is stopped, and nowhere else.</summary>
public sealed class StopRequestTests
{
    [Fact]
    public async Task A_server_that_runs_answers_first_and_then_ends_as_a_signal_ends_it()
    {
        var (host, client) = await StartAsync();
        using (client)
        {
            var running = host.RunAsync(CancellationToken.None);

            var answer = await client.StopAsync(Production.Token);
            await running.WaitAsync(TimeSpan.FromSeconds(60), Production.Token);

            Assert.Equal((Environment.ProcessId, host.Configuration.StateDirectory), (answer.Value!.ProcessId, answer.Value.StateDirectory));
            Assert.False(StateLock.IsHeld(host.Configuration.StateDirectory));
            Assert.False(Path.Exists(host.Configuration.Api.Socket));
        }
    }

    [Fact]
    public async Task A_server_inside_another_program_refuses_and_goes_on()
    {
        var (host, client) = await StartAsync();
        await using (host)
        using (client)
        {
            var answer = await client.StopAsync(Production.Token);

            Assert.Equal(ProblemCodes.NotStoppable, answer.Problem!.Code);
            Assert.True((await client.GetStatusAsync(Production.Token)).Succeeded);
        }
    }

    static async Task<(ServerHost Host, TributaryClient Client)> StartAsync()
    {
        var configuration = Production.Configuration(Production.Url((await TestServers.SharedAsync()).Url()));
        var (host, failure) = await ServerHost.StartAsync(configuration, TimeProvider.System, NullLoggerFactory.Instance, Production.Token);
        Assert.Null(failure);
        return (host!, new TributaryClient(configuration.Api.Socket));
    }
}
