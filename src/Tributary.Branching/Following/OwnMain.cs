using System.Globalization;
using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Following;

/// <summary>
/// A main that follows nothing: an empty cluster of our own, into which dumps are imported. It is an ordinary primary in the sandbox. Nothing
/// else writes to it, so that between imports its newest seed is its present.
/// </summary>
internal sealed class OwnMain(PostgresInstallation installation, BranchingOptions options, MainServer server, TimeProvider time, ILogger logger) : IMain
{
    /// <summary>The role that initdb makes.</summary>
    public const string Superuser = "postgres";

    /// <summary>What is being imported, until it is whole.</summary>
    public const string UnfinishedDatabase = "tributary_import";

    /// <summary>The empty database that gives its name to an import, until it is dropped.</summary>
    public const string ReplacedDatabase = "tributary_replaced";

    /// <summary>
    /// No log is read by anybody, so that what an import loads into a table that it has just made is not logged at all. Nobody changes a row
    /// between imports, and an import analyzes what it has loaded, so that autovacuum has nothing to do; that against wraparound runs all the same
    /// (https://www.postgresql.org/docs/current/routine-vacuuming.html#VACUUM-FOR-WRAPAROUND).
    /// </summary>
    static readonly string[] Settings =
    [
        "shared_buffers = 128MB", "max_wal_size = 256MB", "maintenance_work_mem = 128MB", "wal_level = minimal", "max_wal_senders = 0", "wal_compression = on",
        "synchronous_commit = on", "autovacuum = off",
    ];

    static readonly TimeSpan AnswerPoll = TimeSpan.FromMilliseconds(100);

    readonly SemaphoreSlim _changing = new(1, 1);
    MainPosition? _present;

    /// <summary>The version of the programs that made a main, which no other ones start; null when there is none.</summary>
    public static int? MajorOf(string dataDirectory) =>
        Path.Combine(dataDirectory, "PG_VERSION") is var file && File.Exists(file) && int.TryParse(File.ReadAllText(file), CultureInfo.InvariantCulture, out var major) ? major : null;

    /// <summary>The database that imports go into unless they name another.</summary>
    public string Database => options.Database;

    public string SocketDirectory => server.SocketDirectory;

    /// <summary>A connection of the superuser to a database.</summary>
    /// <exception cref="NpgsqlException">Main does not answer, or has no such database.</exception>
    public Task<NpgsqlConnection> ConnectAsync(string database, CancellationToken cancellationToken) =>
        SuperuserCommand.OpenAsync(server.ConnectionString(database), cancellationToken);

    /// <summary>Waits until it answers; false when it has not within the limit.</summary>
    public Task<bool> AnswersAsync(TimeSpan limit, CancellationToken cancellationToken) => time.HoldsAsync(AnswersAsync, AnswerPoll, limit, cancellationToken);

    async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await ConnectAsync("postgres", cancellationToken);
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    /// <summary>Makes a role that nobody can log in as, where there is none of the name; answers whether it did.</summary>
    public static async Task<bool> EnsureRoleAsync(NpgsqlConnection connection, string role, CancellationToken cancellationToken)
    {
        await using var exists = new NpgsqlCommand("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", connection) { Parameters = { new() { Value = role } } };
        if (await exists.ExecuteScalarAsync(cancellationToken) is true)
            return false;
        await connection.ExecuteAsync($"CREATE ROLE {SqlQuoting.Identifier(role)} NOLOGIN", cancellationToken);
        return true;
    }

    public static async Task<bool> HasDatabaseAsync(NpgsqlConnection connection, string database, CancellationToken cancellationToken)
    {
        await using var question = new NpgsqlCommand("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", connection) { Parameters = { new() { Value = database } } };
        return await question.ExecuteScalarAsync(cancellationToken) is true;
    }

    public string? Problem => null;

    public async Task MakeAsync(bool isRepeated, Action onBegin, Action<double> onPercent, CancellationToken cancellationToken)
    {
        onBegin();
        await server.InitializeAsync(installation, Superuser, cancellationToken);
        Log.MainMade(logger, installation.Major);
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Volatile.Write(ref _present, null);
        await server.StartAsync(
            // After a crash in an import all its log is replayed.
            new LaunchSpec(MainServer.Volume, server.DataDirectory, Settings) { StartTimeout = TimeSpan.FromMinutes(30) }, cancellationToken);
        try
        {
            await ReadyDatabasesAsync(cancellationToken);
        }
        catch
        {
            await server.StopAsync();
            throw;
        }

        Log.MainServes(logger, installation.Major);
    }

    public Task RunAsync(CancellationToken cancellationToken) => server.RunAsync(cancellationToken);

    // Nothing that it follows can be lost.
    public async Task<string> WatchAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
        return "";
    }

    /// <summary>
    /// Where it was after its last change or start. What it writes by itself, such as a hint on a page that was read, is no news, or every
    /// interval would make a seed of none.
    /// </summary>
    public async Task<MainPosition> PositionAsync(CancellationToken cancellationToken)
    {
        var asked = time.GetUtcNow();
        if (Volatile.Read(ref _present) is { } present)
            return present with { DataTime = asked };
        await using var command = server.Source.CreateCommand("SELECT pg_current_wal_flush_lsn()::text");
        var read = new MainPosition(Lsn.Parse((string)(await command.ExecuteScalarAsync(cancellationToken))!), asked);
        // A change that has begun meanwhile goes before.
        return Interlocked.CompareExchange(ref _present, read, null) ?? read;
    }

    /// <summary>It is its own source, so it is wherever it has been.</summary>
    public async Task<bool> WaitForAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken) => (await PositionAsync(cancellationToken)).Lsn >= position;

    // It has no standbys, since a clone of it is its present.
    public Task<Lsn?> InOwnLogAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken) => Task.FromResult<Lsn?>(position);

    public Task<Lsn> SeparateAsync(NpgsqlConnection copy, CancellationToken cancellationToken) => copy.ReplayedAsync(cancellationToken);

    /// <summary>Waits for a change to end, so that no clone holds half of it.</summary>
    public async Task CloneAsync(string copy, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            // All that main has acknowledged is in it then, and it has little to replay.
            await server.CloneAsync(copy, server.CheckpointAsync, cancellationToken);
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Runs a change. Until it ends main tells the position of before, and nothing is cloned.</summary>
    /// <param name="present">A seed that holds all of main: a branch as of now is one of it meanwhile.</param>
    public async Task<T> ChangeAsync<T>(SeedStatus present, Func<CancellationToken, Task<T>> change, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            Volatile.Write(ref _present, new MainPosition(present.Lsn, present.DataTime));
            return await change(cancellationToken);
        }
        finally
        {
            Volatile.Write(ref _present, null);
            _changing.Release();
        }
    }

    public Task<Lsn> RestartPointAsync(CancellationToken cancellationToken) => server.RestartPointAsync(cancellationToken);

    public Task GiveUpAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync() => server.StopAsync();

    public Task<MomentOfSource> AcknowledgedAsync(CancellationToken cancellationToken) => FlushedAsync(cancellationToken);

    // Its commits wait for their flush, so all that it has acknowledged is before the flushed position.
    public async Task<MomentOfSource> FlushedAsync(CancellationToken cancellationToken)
    {
        try
        {
            var position = await PositionAsync(cancellationToken);
            return new MomentOfSource(position.Lsn, position.DataTime);
        }
        catch (NpgsqlException exception)
        {
            throw new BranchingException(new BranchError(
                BranchErrorKind.NotReady, $"Main does not answer: {exception.Message} It is started again; a branch of the newest seed does not need it: tributary branch create --from-seed"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        _changing.Dispose();
    }

    // What an interrupted import has left is of no use. Branches are entered by the URL of main's database, so that is there before anything
    // is imported.
    async Task ReadyDatabasesAsync(CancellationToken cancellationToken)
    {
        await using var connection = await server.Source.OpenConnectionAsync(cancellationToken);
        foreach (var left in new[] { UnfinishedDatabase, ReplacedDatabase })
            await connection.ExecuteAsync($"DROP DATABASE IF EXISTS {left}", cancellationToken);
        if (!await HasDatabaseAsync(connection, options.Database, cancellationToken))
            await connection.ExecuteAsync($"CREATE DATABASE {SqlQuoting.Identifier(options.Database)}", cancellationToken);
    }
}
