using System.Globalization;
using System.Net.Sockets;
using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching;

/// <summary>
/// Asks production where its log ends, over one connection that is kept. Every transaction that production has acknowledged before the
/// question lies before the insert position, also one that was committed asynchronously and is not flushed yet
/// (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-BACKUP).
/// </summary>
/// <param name="systemIdentifier">Production's: a position of another cluster, to which a name may lead after a failover, means nothing here.</param>
internal sealed class SourcePosition(BranchingOptions options, string systemIdentifier, TimeProvider time) : IAsyncDisposable
{
    const int ConnectTimeoutSeconds = 5;

    readonly SemaphoreSlim _lock = new(1, 1);
    readonly NpgsqlDataSource _source = new NpgsqlSlimDataSourceBuilder(
        $"{options.Production.ToNpgsql()};Timeout={ConnectTimeoutSeconds};Command Timeout={ConnectTimeoutSeconds};Maximum Pool Size=1;Application Name=tributary_now;Options=-c synchronous_commit=local").EnableTransportSecurity().Build();

    /// <summary>Answers the position, and a moment at which production was not beyond it.</summary>
    /// <exception cref="BranchingException">Production does not answer.</exception>
    public Task<MomentOfSource> InsertedAsync(CancellationToken cancellationToken) => AskAsync("pg_current_wal_insert_lsn()", cancellationToken);

    /// <summary>
    /// Answers the position of a mark that it writes into production's log: a stream that has passed the mark holds all that was acknowledged before
    /// the question, and passes it at once, also where nothing else is written. The mark is flushed at once, and with it what is before it.
    /// A standby, and a production that does not allow a mark, answer their position.
    /// </summary>
    /// <exception cref="BranchingException">Production does not answer.</exception>
    public async Task<MomentOfSource> MarkedAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await AskAsync("pg_logical_emit_message(true, 'tributary.now', '')", cancellationToken);
        }
        catch (BranchingException exception) when (exception.InnerException is PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege })
        {
            return await InsertedAsync(cancellationToken);
        }
    }

    /// <summary>Answers what production has flushed, which is all that it sends.</summary>
    /// <exception cref="BranchingException">Production does not answer.</exception>
    public Task<MomentOfSource> FlushedAsync(CancellationToken cancellationToken) => AskAsync("pg_current_wal_flush_lsn()", cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _source.DisposeAsync();
        _lock.Dispose();
    }

    public static BranchingException OtherCluster(BranchingOptions options, string found, string followed) => new(new BranchError(
        BranchErrorKind.SourceUnsuitable, $"{options.Production} is another cluster now (system identifier {found}) than the one that main follows ({followed}). Let the name lead to that one again, or follow this one in another state folder."));

    /// <param name="position">Asks a primary; a standby answers what it has replayed, and knows its timeline only at its next restart point.</param>
    async Task<MomentOfSource> AskAsync(string position, CancellationToken cancellationToken)
    {
        await _lock.WaitAsync(cancellationToken);
        try
        {
            var asked = time.GetUtcNow();
            await using var command = _source.CreateCommand(
                $"""
                SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE {position} END)::text,
                       (SELECT system_identifier::text FROM pg_control_system()),
                       CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END
                """);
            await using var row = await command.ExecuteReaderAsync(cancellationToken);
            await row.ReadAsync(cancellationToken);
            if (row.GetString(1) is var found && found != systemIdentifier)
                throw OtherCluster(options, found, systemIdentifier);
            return new MomentOfSource(Lsn.Parse(row.GetString(0)), asked)
            {
                // The first eight digits of a segment's name (https://www.postgresql.org/docs/current/wal-internals.html).
                Timeline = await row.IsDBNullAsync(2, cancellationToken) ? null : int.Parse(row.GetString(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            };
        }
        catch (Exception exception) when (exception is NpgsqlException or TimeoutException or SocketException)
        {
            var reason = exception is PostgresException refused ? refused.MessageText : exception.InnerException?.Message ?? exception.Message;
            throw new BranchingException(new BranchError(
                BranchErrorKind.SourceUnsuitable,
                $"Where the log of {options.Production} ends cannot be learned: {reason} A branch of the newest seed needs no production: tributary branch create --from-seed"), exception);
        }
        finally
        {
            _lock.Release();
        }
    }
}

/// <param name="At">Production was at <paramref name="Lsn"/> or before it.</param>
internal sealed record MomentOfSource(Lsn Lsn, DateTimeOffset At)
{
    /// <summary>Production's; null when it is a standby itself.</summary>
    public int? Timeline { get; init; }
}
