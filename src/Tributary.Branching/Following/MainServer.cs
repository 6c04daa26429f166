using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Following;

/// <summary>
/// Main's Postgres, whatever it follows: started on main's volume, kept running, cloned under a lock. It accepts nobody but Tributary on its
/// socket. When it ends it is started again, with a growing pause.
/// </summary>
internal sealed class MainServer(
    BranchingOptions options, string superuser, IStorageDriver storage, IPostgresLauncher launcher, string runDirectory, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    public const string Volume = "main";

    static readonly string[] _configurationFiles = ["postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"];

    static readonly TimeSpan RestartPollInterval = TimeSpan.FromMilliseconds(20);

    readonly SemaphoreSlim _lock = new(1, 1);
    LaunchSpec? _spec;
    IRunningPostgres? _running;
    NpgsqlDataSource? _dataSource;

    public string DataDirectory => storage.PathOf(Volume);

    /// <summary>The folder of its configuration, socket and log.</summary>
    public string Folder => Path.Combine(runDirectory, Volume);

    public string SocketDirectory => Path.Combine(Folder, "socket");

    /// <summary>Connections of the superuser to the database that every cluster has.</summary>
    /// <exception cref="NpgsqlException">It does not run.</exception>
    public NpgsqlDataSource Source => _dataSource ?? throw new NpgsqlException("Main does not run.");

    /// <summary>A connection of its own to another database. What it runs may take as long as it takes.</summary>
    public string ConnectionString(string database) =>
        new NpgsqlConnectionStringBuilder { Host = SocketDirectory, Username = superuser, Database = database, Pooling = false, ApplicationName = "tributary", CommandTimeout = 0 }.ConnectionString;

    /// <summary>Starts it on the data that is there, and waits until it accepts queries.</summary>
    /// <exception cref="ChildProcessException">It did not start.</exception>
    public async Task StartAsync(LaunchSpec spec, CancellationToken cancellationToken)
    {
        _spec = spec;
        await EndOrphanAsync(cancellationToken);
        _running = await launcher.LaunchAsync(spec, cancellationToken);
        _dataSource = new NpgsqlSlimDataSourceBuilder(
            $"Host={_running.SocketDirectory};Username={superuser};Database=postgres;Maximum Pool Size=2;Application Name=tributary").Build();
    }

    /// <summary>Makes the empty cluster of a main that is no standby; what is there is replaced.</summary>
    /// <exception cref="ChildProcessException">initdb failed.</exception>
    public async Task InitializeAsync(PostgresInstallation installation, string owner, CancellationToken cancellationToken)
    {
        await storage.CreateAsync(Volume, cancellationToken);
        var made = await ChildProcesses.RunAsync(
            new ChildProcessSpec(installation.Program("initdb"),
                ["--pgdata", DataDirectory, $"--username={owner}", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"])
            { AsPostgresUser = true }, cancellationToken);
        made.EnsureSucceeded("initdb for main");
        EmptyConfiguration(DataDirectory);
    }

    /// <summary>
    /// Empties what a data directory says of configuration, which lies outside of it for every server of ours; the files must be there for a
    /// branch all the same.
    /// </summary>
    /// <param name="marks">Further files that say something by being there.</param>
    public static void EmptyConfiguration(string dataDirectory, params string[] marks)
    {
        foreach (var file in _configurationFiles.Concat(marks))
        {
            File.WriteAllText(Path.Combine(dataDirectory, file), "");
            PostgresUser.Own(Path.Combine(dataDirectory, file));
        }
    }

    /// <summary>Keeps it running until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (!cancellationToken.IsCancellationRequested)
        {
            var running = _running;
            if (running is not null)
                await running.Exited.WaitAsync(cancellationToken);
            await _lock.WaitAsync(cancellationToken);
            try
            {
                // One that was stopped on purpose is started again by whoever stopped it.
                if (running is not null && !ReferenceEquals(running, _running))
                    continue;
                Log.MainEnded(logger, pause.TotalSeconds);
                await Task.Delay(pause, time, cancellationToken);
                pause = TimeSpan.FromSeconds(Math.Min(60, pause.TotalSeconds * 2));
                await DropAsync();
                await StartAsync(_spec!, cancellationToken);
                pause = TimeSpan.FromSeconds(1);
            }
            catch (Exception exception) when (Obstacle.Is(exception))
            {
                // A full disk has no room for its configuration either.
                Log.MainStartFailed(logger, exception);
            }
            finally
            {
                _lock.Release();
            }
        }
    }

    /// <summary>Clones its data as of one moment; where the driver's clones are not atomic, it stands still meanwhile.</summary>
    /// <param name="ready">Readies the data, while nothing stops the server.</param>
    public async Task CloneAsync(string copy, Func<CancellationToken, Task> ready, CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken);
        try
        {
            await ready(cancellationToken);
            await storage.CloneAsync(Volume, copy, _running, cancellationToken);
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Asks it again and again, also through a restart of it, until something holds; false when it has not within the limit.</summary>
    /// <param name="condition">The question.</param>
    /// <param name="poll">The pause between two questions.</param>
    /// <exception cref="NpgsqlException">It refuses the question.</exception>
    public Task<bool> HoldsAsync(Func<CancellationToken, Task<bool>> condition, TimeSpan poll, TimeSpan limit, CancellationToken cancellationToken) =>
        time.HoldsAsync(async token => await HoldsAsync(condition, token), poll, limit, cancellationToken);

    /// <summary>Where the replay of a clone would begin.</summary>
    /// <exception cref="NpgsqlException">It does not answer.</exception>
    public async Task<Lsn> RestartPointAsync(CancellationToken cancellationToken)
    {
        await using var connection = await Source.OpenConnectionAsync(cancellationToken);
        return await connection.RestartPointAsync(cancellationToken);
    }

    /// <summary>On a standby this is a restart point, and nothing when its source has had no checkpoint since the last one.</summary>
    /// <exception cref="NpgsqlException">It does not answer.</exception>
    public async Task CheckpointAsync(CancellationToken cancellationToken)
    {
        await using var command = Source.CreateCommand("CHECKPOINT");
        // It may have to write all that is in the shared buffers.
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The end of its log.</summary>
    public IReadOnlyList<string> LastLogLines() => new ComputeLog(Path.Combine(Folder, "postgres.log"), options.BranchLogBytesMax).Tail(50).Lines;

    /// <summary>Stops it in order. It can be started again.</summary>
    public async Task StopAsync()
    {
        await _lock.WaitAsync(CancellationToken.None);
        try
        {
            if (_running is { } running)
                await running.StopAsync(CancellationToken.None);
            await DropAsync();
        }
        finally
        {
            _lock.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _lock.Dispose();
    }

    async Task<bool> HoldsAsync(Func<CancellationToken, Task<bool>> condition, CancellationToken cancellationToken)
    {
        try
        {
            return await condition(cancellationToken);
        }
        catch (NpgsqlException exception) when (Obstacle.IsRestart(exception))
        {
            // The other connections are lost too, and whoever asks next would meet one of them.
            _dataSource?.Clear();
            // A server that replays its log refuses each connection with a process of its own.
            await Task.Delay(RestartPollInterval, time, cancellationToken);
            return false;
        }
    }

    async Task DropAsync()
    {
        // Not disposed of: whoever asks it something at this moment gets the error of a server that is gone, and nothing that means a mistake.
        _dataSource?.Clear();
        _dataSource = null;
        if (_running is { } running)
            await running.DisposeAsync();
        _running = null;
    }

    // A main whose Tributary was killed has received its own signal to end; a slow one is waited for, since two servers on one
    // data directory would destroy it. Postgres itself refuses that too.
    async Task EndOrphanAsync(CancellationToken cancellationToken)
    {
        var pidFile = Path.Combine(DataDirectory, "postmaster.pid");
        var waited = time.GetTimestamp();
        while (File.Exists(pidFile) && int.TryParse(File.ReadLines(pidFile).FirstOrDefault(), out var pid) && RunsOn(pid, DataDirectory))
        {
            if (time.GetElapsedTime(waited) > options.StartTimeout)
                throw new ChildProcessException($"Another Postgres (process {pid}) still runs on {DataDirectory}; stop it and start again.");
            // One that was frozen for a clone when its Tributary was killed hears no signal before it goes on.
            foreach (var signal in new[] { "QUIT", "CONT" })
                await ChildProcesses.RunAsync(new ChildProcessSpec("/bin/kill", ["-s", signal, $"{pid}"]), cancellationToken);
            await Task.Delay(TimeSpan.FromMilliseconds(50), time, cancellationToken);
        }
    }

    static bool RunsOn(int pid, string dataDirectory)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0').Contains(dataDirectory);
        }
        catch (IOException)
        {
            return false;
        }
    }
}
