using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>
/// A clone of main that runs in the sandbox as a standby of main, always at the present. Promoting it makes it a primary of the same moment
/// within tens of milliseconds, because nothing is left to replay.
/// </summary>
/// <param name="number">The number of the branch that it may become.</param>
/// <param name="begin">Where its replay began; the pages that have changed since then are its own.</param>
/// <param name="settings">Its settings once it is no standby any more.</param>
internal sealed class Spare(
    long number, string volume, Lsn begin, IRunningPostgres running, IReadOnlyList<string> settings, MainLink link, NpgsqlConnection connection, Defuser defuser,
    DatabaseDefuser databases, IMain main, TimeProvider time) : IAsyncDisposable
{
    /// <summary>How often the position is read while it is waited for: a query over a socket takes a tenth of that.</summary>
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(1);

    bool _ended;

    public long Number { get; } = number;

    public string Volume { get; } = volume;

    public Lsn Begin { get; } = begin;

    public IRunningPostgres Running { get; } = running;

    /// <summary>Its server is somebody else's.</summary>
    public bool IsGivenAway { get; private set; }

    /// <summary>It is stopped for good, or its server is somebody else's.</summary>
    public bool IsEnded => _ended;

    public bool IsAlive => !Running.Exited.IsCompleted;

    /// <summary>Waits until it has replayed main's log up to a position; false when that takes too long.</summary>
    /// <exception cref="NpgsqlException">The spare does not answer.</exception>
    public Task<bool> WaitForAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken) =>
        time.HoldsAsync(token => HasReplayedAsync(position, token), PollInterval, limit, cancellationToken);

    /// <summary>Cuts it off from main, makes it a primary and defuses it; answers where main was by then.</summary>
    /// <exception cref="ChildProcessException">It did not leave recovery in time.</exception>
    /// <exception cref="NpgsqlException">The spare does not answer.</exception>
    public async Task<Lsn> PromoteAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        // The request comes before the cut: recovery that has lost its link already asks for another one, and pauses for
        // wal_retrieve_retry_interval before it looks for the request. It is cut off all the same, since while log arrives faster than it is
        // replayed, recovery does not look at all (WaitForWALToBecomeAvailable in src/backend/access/transam/xlogrecovery.c).
        // pg_promote itself waits in steps of 100 ms (src/backend/access/transam/xlogfuncs.c), so the waiting is ours.
        await connection.ExecuteAsync("SELECT pg_promote(wait => false)", cancellationToken);
        await link.DisposeAsync();
        if (!await time.HoldsAsync(async token => !await IsInRecoveryAsync(token), PollInterval, limit, cancellationToken))
            throw new ChildProcessException($"The spare {Volume} was not promoted within {limit.TotalSeconds:0} s.");

        await Running.ConfigureAsync([.. settings, PoolFlush.NoFsync, SpareMaker.WithoutAutovacuum], cancellationToken);
        await connection.ExecuteAsync("SELECT pg_reload_conf()", cancellationToken);
        await defuser.DefuseAsync(connection, databases, cancellationToken);
        return await main.SeparateAsync(connection, cancellationToken);
    }

    /// <summary>Has a session of ours be the first after defusing, which rewrites a table of the catalog, while the answer travels to whoever asked.</summary>
    public async Task EnterAsync(CancellationToken cancellationToken)
    {
        try
        {
            await defuser.EnterAsync(Running.SocketDirectory, cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException)
        {
            // It has been stopped meanwhile.
        }
    }

    /// <summary>The server is somebody else's to end from here on.</summary>
    public IRunningPostgres GiveAway()
    {
        (IsGivenAway, _ended) = (true, true);
        return Running;
    }

    /// <summary>
    /// Its new owner has it. What is left to do is done beside the owner's sessions: it flushes what it writes from now
    /// on, a checkpoint removes the log that production wrote, and what was written before is flushed. Only then true: it outlives the
    /// machine's end.
    /// </summary>
    /// <param name="path">Its data.</param>
    public async Task<bool> FinishAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            await Running.ConfigureAsync(settings, cancellationToken);
            await connection.ExecuteAsync("SELECT pg_reload_conf()", cancellationToken);
            await SeedResidue.LeaveLogBehindAsync(connection, cancellationToken);
            await connection.ExecuteAsync("CHECKPOINT", cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException or ObjectDisposedException or IOException)
        {
            // Its owner has stopped it, which is a checkpoint too, and its next start flushes.
        }

        await connection.DisposeAsync();
        try
        {
            await PoolFlush.FlushAsync(path, cancellationToken);
            return true;
        }
        catch (Exception exception) when (exception is ChildProcessException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Stops it with a checkpoint, so that what is cloned from it has nothing to replay.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await SeedResidue.LeaveLogBehindAsync(connection, cancellationToken);
        await connection.DisposeAsync();
        await Running.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await link.DisposeAsync();
        await databases.DisposeAsync();
        await connection.DisposeAsync();
        if (_ended)
            return;
        _ended = true;
        await Running.DisposeAsync();
    }

    async Task<bool> HasReplayedAsync(Lsn position, CancellationToken cancellationToken)
    {
        try
        {
            return await connection.ReplayedAsync(cancellationToken) >= position;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.SerializationFailure)
        {
            return false;
        }
    }

    // A query on a standby gives way to the replay when it must, also to the replay of the last moment before the end of recovery.
    async Task<bool> IsInRecoveryAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var command = new NpgsqlCommand("SELECT pg_is_in_recovery()", connection);
            return await command.ExecuteScalarAsync(cancellationToken) is true;
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.SerializationFailure)
        {
            return true;
        }
    }
}
