using Npgsql;
using Tributary.Postgres;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Seeding;

/// <summary>
/// A clone of main that runs in the sandbox as a standby of main, always at the present. Promoting it makes it a primary of the same moment
/// within tens of milliseconds, because nothing is left to replay.
/// </summary>
/// <param name="number">The number of the branch that it may become.</param>
/// <param name="settings">Its settings once it is no standby any more.</param>
internal sealed class Spare(
    long number, string volume, IRunningPostgres running, IReadOnlyList<string> settings, MainLink link, NpgsqlConnection connection, Defuser defuser,
    TimeProvider time) : IAsyncDisposable
{
    /// <summary>How often the position is read while it is waited for: a query over a socket takes a tenth of that.</summary>
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(1);

    bool _ended;

    public long Number { get; } = number;

    public string Volume { get; } = volume;

    public IRunningPostgres Running { get; } = running;

    public bool IsAlive => !Running.Exited.IsCompleted;

    /// <exception cref="NpgsqlException">The spare does not answer.</exception>
    public Task<Lsn> ReplayedAsync(CancellationToken cancellationToken) => Defuser.ReplayedAsync(connection, cancellationToken);

    /// <summary>Waits until it has replayed production's log up to a position; false when that takes too long.</summary>
    /// <exception cref="NpgsqlException">The spare does not answer.</exception>
    public async Task<bool> WaitForAsync(Lsn position, TimeSpan limit, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (await ReplayedAsync(cancellationToken) < position)
        {
            if (time.GetElapsedTime(started) > limit)
                return false;
            await Task.Delay(PollInterval, time, cancellationToken);
        }

        return true;
    }

    /// <summary>Cuts it off from main, makes it a primary and defuses it; answers where production's log ended for it.</summary>
    /// <exception cref="ChildProcessException">It did not leave recovery in time.</exception>
    /// <exception cref="NpgsqlException">The spare does not answer.</exception>
    public async Task<Lsn> PromoteAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        // Cut off first: while log arrives faster than it is replayed, recovery does not look for the request to end
        // (WaitForWALToBecomeAvailable in src/backend/access/transam/xlogrecovery.c).
        await link.DisposeAsync();
        // pg_promote itself waits in steps of 100 ms (src/backend/access/transam/xlogfuncs.c), so the waiting is ours.
        await ExecuteAsync("SELECT pg_promote(wait => false)", cancellationToken);
        while (await IsInRecoveryAsync(cancellationToken))
        {
            if (time.GetElapsedTime(started) > limit)
                throw new ChildProcessException($"The spare {Volume} was not promoted within {limit.TotalSeconds:0} s.");
            await Task.Delay(PollInterval, time, cancellationToken);
        }

        await Running.ConfigureAsync(settings, cancellationToken);
        await ExecuteAsync("SELECT pg_reload_conf()", cancellationToken);
        await defuser.DefuseAsync(connection, cancellationToken);
        await SeedResidue.RemoveAsync(connection, cancellationToken);
        return await ReplayedAsync(cancellationToken);
    }

    /// <summary>
    /// The server is its new owner's from here on. What is left to do is done beside the owner's sessions: a checkpoint, which removes the log
    /// that production wrote.
    /// </summary>
    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        _ended = true;
        try
        {
            await ExecuteAsync("CHECKPOINT", cancellationToken);
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException or ObjectDisposedException)
        {
            // Its owner has stopped it, which is a checkpoint too.
        }

        await connection.DisposeAsync();
    }

    /// <summary>Stops it with a checkpoint, so that what is cloned from it has nothing to replay.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await connection.DisposeAsync();
        await Running.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await link.DisposeAsync();
        if (_ended)
            return;
        _ended = true;
        await connection.DisposeAsync();
        await Running.DisposeAsync();
    }

    async Task<bool> IsInRecoveryAsync(CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_is_in_recovery()", connection);
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
