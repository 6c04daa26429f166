using System.Diagnostics;
using Tributary.Postgres.Programs;

namespace Tributary.Load.Kill;

/// <summary>The real program as a user starts it, <c>tributary stream run</c>, to be ended by SIGKILL.</summary>
sealed class KilledProgram : IAsyncDisposable
{
    public const string Stream = "kill";

    readonly Process _process;
    readonly string _log;

    KilledProgram(Process process, string log) => (_process, _log) = (process, log);

    /// <summary>The native binary, or its managed build, which takes longer to start.</summary>
    public static string Path => Environment.GetEnvironmentVariable("TRIBUTARY_BINARY")
        ?? throw new InvalidOperationException("TRIBUTARY_BINARY names no program. Run the benchmark with ./bench, which builds it.");

    public static bool IsNative => !Path.EndsWith(".dll", StringComparison.Ordinal);

    public static async Task<KilledProgram> StartAsync(PostgresServer source, PostgresServer target, string folder, CancellationToken cancellationToken)
    {
        string[] arguments = ["stream", "run", "--name", Stream, "--source", source.Url(), "--target", target.Url()];
        var log = System.IO.Path.Combine(folder, "tributary.log");
        var spec = IsNative ? new ChildProcessSpec(Path, arguments) : new ChildProcessSpec("dotnet", [Path, .. arguments]);
        return new KilledProgram(await ChildProcesses.StartAsync(spec with { ParentDeathSignal = "KILL", LogFile = log }, cancellationToken), log);
    }

    /// <exception cref="ChildProcessException">It has ended by itself; the message holds its last words.</exception>
    public void RequireRunning()
    {
        if (_process.HasExited)
            throw new ChildProcessException($"The program ended by itself with code {_process.ExitCode}: {string.Join(" | ", File.ReadLines(_log).TakeLast(5))}");
    }

    /// <summary>Kills it, and waits until the kernel has closed its connections.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
