using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>
/// A folder of one test and the programs run on it. Disposing it ends what still runs, unmounts what is still mounted and removes the
/// folder, also after a failure; whether the product had cleaned up by itself is asked before that.
/// </summary>
sealed class TestSpace : IAsyncDisposable
{
    static readonly TimeSpan CleanUpLimit = TimeSpan.FromSeconds(30);

    readonly List<RunningTributary> _started = [];

    public TestSpace(bool asPostgresUser = false)
    {
        Folder = TestFolder.New("e2e");
        AsPostgresUser = asPostgresUser;
    }

    public string Folder { get; }

    /// <summary>The programs run without root's rights.</summary>
    public bool AsPostgresUser { get; }

    public string State => Path.Combine(Folder, "state");

    public string Socket => Path.Combine(State, "tributary.sock");

    public string Configuration => Path.Combine(Folder, "tributary.yaml");

    /// <summary>Writes <c>tributary.yaml</c>: the state folder and a free gateway port, then the given lines.</summary>
    public async Task ConfigureAsync(params string[] lines) =>
        await File.WriteAllLinesAsync(Configuration, [$"state: {State}", "gateway: { listen: 127.0.0.1:0 }", .. lines], TestContext.Current.CancellationToken);

    /// <summary>Starts <c>tributary</c> with the arguments, in the background; it ends with this space at the latest.</summary>
    public async Task<RunningTributary> StartAsync(IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        if (AsPostgresUser)
            (await ChildProcesses.RunAsync(new ChildProcessSpec("chown", ["-R", "postgres:postgres", Folder]), CancellationToken.None)).EnsureSucceeded("chown");
        var log = Path.Combine(Folder, $"run{_started.Count}.log");
        var process = await ChildProcesses.StartAsync(
            TributaryProgram.Spec(arguments) with
            {
                LogFile = log,
                ParentDeathSignal = "TERM",
                AsPostgresUser = AsPostgresUser,
                Environment = environment ?? new Dictionary<string, string>(),
            },
            TestContext.Current.CancellationToken);
        var running = new RunningTributary(process, log, Socket);
        _started.Add(running);
        return running;
    }

    /// <summary>Starts <c>tributary up</c> on <see cref="Configuration"/>.</summary>
    public Task<RunningTributary> UpAsync() => StartAsync(["up", "-c", Configuration]);

    public async ValueTask DisposeAsync()
    {
        foreach (var running in _started)
            await running.DisposeAsync();
        await Eventually.NothingIsLeftAsync(UnmountAll, $"the mounts below {Folder}", CleanUpLimit);
        await ChildProcesses.RunAsync(new ChildProcessSpec("rm", ["-rf", "--one-file-system", Folder]), CancellationToken.None);
    }

    IReadOnlyList<string> UnmountAll()
    {
        foreach (var mount in Machine.Mounts(Folder))
            ChildProcesses.RunAsync(new ChildProcessSpec("umount", [mount.Split(' ')[1]]), CancellationToken.None).GetAwaiter().GetResult();
        return Machine.Mounts(Folder);
    }
}
