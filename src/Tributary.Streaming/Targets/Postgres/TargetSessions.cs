using Microsoft.Extensions.Logging;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Opens the target's connections: one for control, which holds the stream's lock and reads the catalog, and the lanes that apply changes. Should
/// the lock be lost with its connection, the lanes of an earlier instance are still shut out: each of their commits names an epoch.
/// </summary>
internal sealed class TargetSessions(StreamOptions options, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    // One statement a shape; far more shapes than tables times kinds do not occur together.
    const int PreparedMax = 256;

    NpgsqlDataSource? _lanes;
    NpgsqlConnection? _control;

    public NpgsqlConnection Control => _control ?? throw new InvalidOperationException("The target is not open.");

    public async Task OpenControlAsync(CancellationToken cancellationToken)
    {
        _control = await AsReplicaAsync(
            () => SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, $"tributary {options.Name} control", "-c session_replication_role=replica"), cancellationToken));
        await LockAsync(cancellationToken);
    }

    /// <summary>
    /// Opens the connections that apply. When only some get an origin, only those serve: what is written must all be marked alike.
    /// </summary>
    public async Task<List<ApplySession>> OpenLanesAsync(CancellationToken cancellationToken)
    {
        var lanes = new List<ApplySession>();
        try
        {
            while (lanes.Count < options.ApplyConnections)
            {
                var lane = await OpenLaneAsync(lanes.Count, cancellationToken);
                if (lanes.Count > 0 && lanes[0].HasOrigin && !lane.HasOrigin)
                {
                    await lane.DisposeAsync();
                    return lanes;
                }

                lanes.Add(lane);
            }

            return lanes;
        }
        catch
        {
            foreach (var lane in lanes)
                await lane.DisposeAsync();
            throw;
        }
    }

    /// <summary>Opens one more connection beside the lanes, with an origin of its own; null when it needs one and none is free.</summary>
    public async Task<ApplySession?> TryOpenMoreAsync(bool needsOrigin, CancellationToken cancellationToken)
    {
        var session = await OpenLaneAsync(options.ApplyConnections, cancellationToken);
        if (session.HasOrigin == needsOrigin)
            return session;
        await session.DisposeAsync();
        return null;
    }

    /// <summary>The application name of the connections that apply.</summary>
    public static string LaneName(StreamOptions options) => $"tributary {options.Name}";

    async Task<ApplySession> OpenLaneAsync(int lane, CancellationToken cancellationToken)
    {
        _lanes ??= NewDataSource();
        var connection = await AsReplicaAsync(async () => await _lanes.OpenConnectionAsync(cancellationToken));
        try
        {
            var hasOrigin = await ReplicationOrigin.TrySetAsync(connection, options.Name, lane, logger, cancellationToken);
            if (connection.State != System.Data.ConnectionState.Open)
            {
                // The driver closes a connection on which the server was short of something, as it is when all origins are taken.
                await connection.DisposeAsync();
                connection = await _lanes.OpenConnectionAsync(cancellationToken);
            }

            return new ApplySession(connection, options, hasOrigin);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_control is not null)
            await _control.DisposeAsync();
        if (_lanes is not null)
            await _lanes.DisposeAsync();
    }

    NpgsqlDataSource NewDataSource()
    {
        // A statement is planned once, for a few rows: that plan looks each row up in an index, whatever the table has grown to since. Plans
        // that read a whole table are out of the question even while it is small, and compiling a plan that runs for a millisecond is a loss.
        var settings = SessionSettings.ConnectionString(
            options.Target, LaneName(options),
            "-c session_replication_role=replica -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off " +
            $"-c enable_bitmapscan=off -c jit=off -c lock_timeout={(options.ApplyConnections > 1 ? (long)options.ApplyLockTimeout.TotalMilliseconds : 0)} " +
            $"-c synchronous_commit={(options.SynchronousCommit ? "on" : "off")}");
        var builder = new NpgsqlDataSourceBuilder(settings);
        builder.ConnectionStringBuilder.MaxAutoPrepare = PreparedMax;
        builder.ConnectionStringBuilder.AutoPrepareMinUsages = 2;
        builder.ConnectionStringBuilder.IncludeFailedBatchedCommand = true; // An error then says which run it belongs to.
        builder.ConnectionStringBuilder.WriteBufferSize = 64 * 1024; // Batches are large; the default of 8 kB takes eight times the system calls.
#pragma warning disable NPG9001 // Npgsql may still change how converters are written; see WireValueResolver.
        builder.AddTypeInfoResolverFactory(new WireValueResolver());
#pragma warning restore NPG9001
        return builder.Build();
    }

    async Task<NpgsqlConnection> AsReplicaAsync(Func<Task<NpgsqlConnection>> open)
    {
        try
        {
            return await open();
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new StreamException(
                StreamErrorKind.Configuration,
                $"The target's role {options.Target.User} may not set session_replication_role. Use a superuser, or from Postgres 15 on: " +
                $"GRANT SET ON PARAMETER session_replication_role TO {SqlQuoting.Identifier(options.Target.User)};");
        }
    }

    // The server ends the session of a killed instance within moments; until then its lock looks like a second instance.
    async Task LockAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (!await ProgressTable.TryLockAsync(Control, options.Name, cancellationToken))
        {
            if (time.GetElapsedTime(started) >= options.FenceWait)
                throw ProgressTable.Fenced(options.Name);
            await Task.Delay(TimeSpan.FromMilliseconds(50), time, cancellationToken);
        }
    }
}
