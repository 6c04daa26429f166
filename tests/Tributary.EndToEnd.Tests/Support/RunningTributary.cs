using System.Diagnostics;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Postgres.Programs;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>A <c>tributary</c> that runs as a process of its own, watched over its API and ended by signals.</summary>
sealed class RunningTributary(Process process, string logFile, string socket) : IAsyncDisposable
{
    static readonly TimeSpan ReadyLimit = TimeSpan.FromSeconds(60);
    static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(60);

    public int Id { get; } = process.Id;

    public TributaryClient Api { get; } = new(socket);

    /// <summary>What it has printed and logged.</summary>
    public string Log => File.Exists(logFile) ? File.ReadAllText(logFile) : "";

    /// <summary>Waits until its status is so.</summary>
    public async Task<StatusResponse> StatusAsync(Func<StatusResponse, bool> holds, string what)
    {
        var answer = await Eventually.HoldsAsync(
            async () =>
            {
                var status = await Api.GetStatusAsync(TestContext.Current.CancellationToken);
                if (process.HasExited)
                    Assert.Fail($"tributary has ended with exit code {process.ExitCode} before {what}: {Log}");
                return status;
            },
            status => status.Value is { } value && holds(value), what, ReadyLimit);
        return answer.Value!;
    }

    /// <summary>Waits until branches can be made and every stream carries changes.</summary>
    public Task<StatusResponse> ReadyAsync() => StatusAsync(
        static status => status.Branching is { State: PartState.Running, Seeds.Count: > 0 } && status.Gateway.State == PartState.Running
            && status.Streams.All(static stream => stream is { State: PartState.Running, Phase: "streaming" }),
        "it is ready");

    public async Task<BranchResponse> CreateAsync(string name) => Value(await Api.CreateBranchAsync(new BranchCreateRequest { Name = name }, TestContext.Current.CancellationToken));

    public async Task<BranchResponse> GetAsync(string name) => Value(await Api.GetBranchAsync(name, TestContext.Current.CancellationToken));

    public async Task<IReadOnlyList<BranchResponse>> ListAsync() => Value(await Api.ListBranchesAsync(TestContext.Current.CancellationToken)).Branches;

    /// <summary>Waits until its log, which is also what it prints, says so.</summary>
    public Task SaysAsync(string text, TimeSpan limit) => Eventually.HoldsAsync(
        () =>
        {
            if (process.HasExited && !Log.Contains(text, StringComparison.Ordinal))
                Assert.Fail($"tributary has ended with exit code {process.ExitCode} without saying '{text}': {Log}");
            return Task.FromResult(Log);
        },
        log => log.Contains(text, StringComparison.Ordinal), $"it says '{text}'", limit);

    public async Task SignalAsync(string signal) =>
        (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{Id}"]), TestContext.Current.CancellationToken)).EnsureSucceeded("kill");

    /// <summary>Waits for its end.</summary>
    public async Task<int> ExitCodeAsync(TimeSpan? limit = null)
    {
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(limit ?? EndLimit);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"tributary has not ended within {limit ?? EndLimit}: {Log}");
        }

        return process.ExitCode;
    }

    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        Api.Dispose();
        if (!process.HasExited)
        {
            await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", "TERM", $"{Id}"]), CancellationToken.None);
            using var limit = new CancellationTokenSource(EndLimit);
            await process.WaitForExitAsync(limit.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
            if (!process.HasExited)
                process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    static T Value<T>(ApiResult<T> answer)
        where T : class => answer.Value ?? throw new InvalidOperationException($"Tributary refused: {answer.Problem}");
}
