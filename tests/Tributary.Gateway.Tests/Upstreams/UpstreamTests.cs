using Microsoft.Extensions.Time.Testing;
using Npgsql;
using Tributary.Gateway.Tests.Support;
using Tributary.Gateway.Upstreams;

namespace Tributary.Gateway.Tests.Upstreams;

public sealed class UpstreamTests
{
    [Fact]
    public async Task Branch_that_cannot_wake_says_why_to_the_client()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Resolver.Connect = (_, _) => ValueTask.FromResult(new UpstreamResult(null, "53100", "the pool is full: delete a branch"));

        var output = await gateway.PsqlAsync("user=postgres.agent-42", "SELECT 1");

        Assert.Equal(2, output.ExitCode);
        Assert.Contains("FATAL:  the pool is full: delete a branch", output.Error, StringComparison.Ordinal);
        Assert.Equal(1, gateway.Listener.Status.WakeFailures);
    }

    [Fact]
    public async Task Client_is_held_while_the_branch_wakes()
    {
        await using var gateway = await TestGateway.StartAsync();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var awake = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Resolver.Connect = async (_, cancellationToken) =>
        {
            asked.SetResult();
            await awake.Task.WaitAsync(cancellationToken);
            return new UpstreamResult(gateway.Resolver.Open(TestGateway.SocketOf(gateway.Server)), null, null);
        };

        var opening = gateway.OpenAsync();
        await asked.Task;
        Assert.False(opening.IsCompleted);
        awake.SetResult();

        await (await opening).DisposeAsync();
    }

    [Fact]
    public async Task Client_that_leaves_while_the_branch_wakes_calls_the_wake_off()
    {
        await using var gateway = await TestGateway.StartAsync();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var calledOff = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Resolver.Connect = async (_, cancellationToken) =>
        {
            await using var registration = cancellationToken.Register(calledOff.SetResult);
            asked.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            return default;
        };
        var client = await gateway.ConnectRawAsync();
        await client.SendStartupAsync(3 << 16, ("user", "postgres.agent-42"));
        await client.AuthenticateAsync(TestGateway.Password);
        await asked.Task;

        await client.DisposeAsync();

        await calledOff.Task.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Branch_that_does_not_wake_in_time_ends_the_wait()
    {
        var time = new FakeTimeProvider();
        await using var gateway = await TestGateway.StartAsync(timeProvider: time);
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Resolver.Connect = async (_, cancellationToken) =>
        {
            asked.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            return default;
        };
        var opening = gateway.OpenAsync();
        await asked.Task;

        time.Advance(TimeSpan.FromSeconds(61));

        var error = await Assert.ThrowsAsync<PostgresException>(() => opening);
        Assert.Equal("57P03", error.SqlState);
    }

    [Fact]
    public async Task Socket_that_is_gone_is_an_error_that_names_the_branch()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Resolver.Connect = (_, _) => ValueTask.FromResult(new UpstreamResult(gateway.Resolver.Open("/tmp/no-such-socket"), null, null));

        var error = await Assert.ThrowsAsync<PostgresException>(() => gateway.OpenAsync());

        Assert.Equal("08006", error.SqlState);
        Assert.Contains("agent-42", error.MessageText, StringComparison.Ordinal);
        await gateway.StopAsync();
        Assert.Equal(1, gateway.Resolver.Disposed);
    }

    [Fact]
    public async Task Error_of_the_server_itself_reaches_the_client_and_frees_the_lease()
    {
        await using var gateway = await TestGateway.StartAsync();

        var output = await gateway.PsqlAsync("user=postgres.agent-42 dbname=nowhere", "SELECT 1");

        Assert.Contains("FATAL:  database \"nowhere\" does not exist", output.Error, StringComparison.Ordinal);
        await gateway.StopAsync();
        Assert.Equal((1, 1), (gateway.Resolver.Opened, gateway.Resolver.Disposed));
    }

    [Fact]
    public async Task Resolver_that_breaks_is_told_without_its_inner_words()
    {
        await using var gateway = await TestGateway.StartAsync();
        gateway.Resolver.Connect = (_, _) => throw new InvalidOperationException("an inner word");

        var error = await Assert.ThrowsAsync<PostgresException>(() => gateway.OpenAsync());

        Assert.Equal("XX000", error.SqlState);
        Assert.DoesNotContain("inner word", error.MessageText, StringComparison.Ordinal);
    }
}
