using System.Diagnostics;
using Tributary.Contracts;
using Tributary.Contracts.Client;
using Tributary.Postgres.Programs;
using Tributary.Server;

namespace Tributary.Cli;

/// <summary>
/// A server in the background: a session of its own, so that neither Ctrl-C here nor the end of this terminal reaches it, and a log in its
/// state folder. It is <c>tributary up</c> as anybody could start it.
/// </summary>
sealed class DetachedServer : IDisposable
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(50);

    readonly Process _process;
    readonly TributaryClient _client;
    readonly ServerLog _log;
    readonly long _logStart;

    DetachedServer(Process process, TributaryClient client, ServerLog log, long logStart) => (_process, _client, _log, _logStart) = (process, client, log, logStart);

    public string LogFile => _log.File;

    /// <summary>Starts <c>tributary up</c> with these arguments, in the folder where this command runs.</summary>
    /// <exception cref="IOException">The state folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    /// <exception cref="ChildProcessException">The program cannot be started.</exception>
    public static async Task<DetachedServer> StartAsync(IReadOnlyList<string> upArguments, TributaryConfiguration configuration, CancellationToken cancellationToken)
    {
        var log = new ServerLog(configuration.StateDirectory);
        log.Prepare();
        var end = new FileInfo(log.File).Length;
        var process = await ChildProcesses.StartAsync(
            new ChildProcessSpec("env", [$"--chdir={Environment.CurrentDirectory}", "setsid", .. Self(), "up", .. upArguments, UpOptions.KeptLog.Name]) { LogFile = log.File },
            cancellationToken);
        return new DetachedServer(process, new TributaryClient(configuration.Api.Socket), log, end);
    }

    /// <summary>Waits until the server answers; null when it has ended instead.</summary>
    public async Task<StatusResponse?> AnswersAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(PollInterval, TimeProvider.System);
        while (true)
        {
            // Its own process number tells this server from another one on the same socket.
            if ((await _client.GetStatusAsync(cancellationToken)).Value is { } status && status.ProcessId == _process.Id)
                return status;
            if (_process.HasExited)
                return null;
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    /// <summary>Passes on why the server has ended, and answers its exit code; to be called when <see cref="AnswersAsync"/> has answered null.</summary>
    public int ReportEnd(TextWriter error)
    {
        var lines = _log.LinesFrom(_logStart);
        // A server that does not start ends with its error; one that ends later has only its log to tell.
        var told = lines.SkipWhile(line => !line.StartsWith("error: ", StringComparison.Ordinal)).ToList();
        foreach (var line in told.Count > 0 ? told : ["error: the server ended without saying why", $"hint: its log is {_log.File}"])
            error.WriteLine(line);
        return _process.ExitCode is 0 ? ExitCodes.Failed : _process.ExitCode;
    }

    public void Dispose()
    {
        _client.Dispose();
        _process.Dispose();
    }

    // Built without a native compiler, the program is a library that another program runs.
    static string[] Self() => Environment.ProcessPath is { } program && Path.GetFileNameWithoutExtension(program) != "dotnet"
        ? [program]
        : [Environment.ProcessPath ?? "dotnet", Path.Combine(AppContext.BaseDirectory, "tributary.dll")];
}
