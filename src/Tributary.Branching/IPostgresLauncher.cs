using Tributary.Postgres.Programs;

namespace Tributary.Branching;

/// <summary>Starts a Postgres on a data directory of the pool; the rooms that need one share this port.</summary>
public interface IPostgresLauncher
{
    /// <summary>Starts the server and waits until it accepts connections.</summary>
    /// <exception cref="ChildProcessException">It ended or did not get ready in time; the message holds the last lines of its log.</exception>
    Task<IRunningPostgres> LaunchAsync(LaunchSpec spec, CancellationToken cancellationToken);

    /// <summary>Removes what a server that has ended has left outside its data: configuration, socket and log.</summary>
    void RemoveFolder(string name);
}

/// <summary>A running server. Disposing it stops it at once, as a crash would.</summary>
public interface IRunningPostgres : IAsyncDisposable
{
    /// <summary>The folder of its Unix socket, which trusts every role; only Tributary's user and root enter the folder.</summary>
    string SocketDirectory { get; }

    /// <summary>Completes when the server has ended, for whatever reason.</summary>
    Task Exited { get; }

    /// <summary>Processor time of the server and of all that it started, also of what has ended. Keeps its last value when the server has ended.</summary>
    TimeSpan CpuTime { get; }

    /// <summary>Replaces the lines of its <c>postgresql.conf</c>, which it reads when it is told to reload. One that ends or has ended is left alone.</summary>
    Task ConfigureAsync(IReadOnlyList<string> settings, CancellationToken cancellationToken);

    /// <summary>
    /// Runs an action while no process of the server runs: its files then are as a crash would leave them, and stay so until the action ends.
    /// Sessions wait meanwhile and go on as if nothing had been, so the action must ask the server nothing.
    /// </summary>
    /// <exception cref="ChildProcessException">It did not come to a stop; the action was not run.</exception>
    Task RunFrozenAsync(Func<CancellationToken, Task> action, CancellationToken cancellationToken);

    /// <summary>Stops it with a checkpoint, cutting its sessions: a fast shutdown. Kills it when that takes too long.</summary>
    Task StopAsync(CancellationToken cancellationToken);
}

/// <summary>What to start.</summary>
/// <param name="Name">Names the folder for its configuration, socket and log.</param>
/// <param name="DataDirectory">Its data; it holds no configuration, so that a clone carries none.</param>
/// <param name="Settings">Lines of <c>postgresql.conf</c> beyond those that every server of ours has.</param>
public sealed record LaunchSpec(string Name, string DataDirectory, IReadOnlyList<string> Settings)
{
    /// <summary>The name of every server's socket file: libpq looks for it in the folder that is given as host, for port 5432.</summary>
    public const string SocketFile = ".s.PGSQL.5432";

    /// <summary>Where a sandboxed server finds its <see cref="LinkDirectory"/>.</summary>
    public const string LinkMount = "/main";

    /// <summary>Whether the server runs without network, in namespaces of its own. Only a main that must reach production does not.</summary>
    public bool Sandboxed { get; init; } = true;

    /// <summary>A folder that the sandbox sees, read-only, as <see cref="LinkMount"/>: a spare's way to main. Null for none.</summary>
    public string? LinkDirectory { get; init; }

    /// <summary>What it may take of the machine. Null leaves it where Tributary itself is, uncounted and unbounded.</summary>
    public ComputeLimits? Limits { get; init; }

    /// <summary>How long it may take to accept connections.</summary>
    public required TimeSpan StartTimeout { get; init; }
}
