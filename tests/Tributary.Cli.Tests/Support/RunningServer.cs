using System.Diagnostics;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Cli.Tests.Support;

/// <summary><c>tributary up</c> as a child process, ready when this is constructed.</summary>
sealed class RunningServer : IAsyncDisposable
{
    readonly Process _process;
    readonly Task<string> _log;

    RunningServer(Process process, string state, Task<string> log) => (_process, State, _log) = (process, state, log);

    public string State { get; }

    public string Socket => Path.Combine(State, "tributary.sock");

    /// <summary>Starts a server with branching on a free port and waits until it says that it is stopped by Ctrl-C.</summary>
    public static Task<RunningServer> StartAsync(string sourceUrl, string slot) =>
        StartAsync($$"""
            source: { url: "{{sourceUrl}}" }
            branching: { slot: {{slot}}, seed-interval: 1s, pool-size: 4GiB }
            """);

    /// <summary>Starts a server whose main follows nothing.</summary>
    public static Task<RunningServer> StartWithoutProductionAsync() => StartAsync("branching: { following: none, seed-interval: 1s, pool-size: 4GiB }");

    static async Task<RunningServer> StartAsync(string what)
    {
        var folder = TestFolder.New("up");
        var state = Path.Combine(folder, "state");
        await File.WriteAllTextAsync(Path.Combine(folder, "tributary.yaml"), $$"""
            state: {{state}}
            {{what}}
            gateway: { listen: 127.0.0.1:0 }
            """, TributaryProgram.Token);
        var process = Process.Start(TributaryProgram.StartInfo(folder, new Dictionary<string, string>(), ["up"]))!;
        var log = process.StandardError.ReadToEndAsync(CancellationToken.None);
        while (await process.StandardOutput.ReadLineAsync(TributaryProgram.Token) is { } line)
        {
            if (line == "Ctrl-C stops it")
                return new RunningServer(process, state, log);
        }

        throw new Xunit.Sdk.XunitException($"the server did not start: {await log}");
    }

    public Task<ChildProcessResult> AskAsync(params string[] arguments) => TributaryProgram.RunAsync([.. arguments, "--socket", Socket]);

    /// <summary>Sends a signal and waits for the end; answers the exit code and the log.</summary>
    public async Task<(int ExitCode, string Log)> StopAsync(string signal)
    {
        (await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{_process.Id}"]), TributaryProgram.Token)).EnsureSucceeded("kill");
        await _process.WaitForExitAsync(TributaryProgram.Token);
        return (_process.ExitCode, await _log);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await StopAsync("TERM");
        _process.Dispose();
    }
}
