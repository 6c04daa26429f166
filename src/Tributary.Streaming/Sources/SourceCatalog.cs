using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

internal sealed class SourceCatalog(StreamOptions options, TimeProvider time) : ISourceCatalog, IDisposable
{
    // A commit that waits for a synchronous standby is in the stream before others see it.
    static readonly TimeSpan VisibleWithin = TimeSpan.FromSeconds(30);
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(20);

    // The stream's number of a transaction has 32 bits, and a snapshot's 64; the nearest one with the same low bits is meant.
    const string VisibleSql =
        """
        SELECT pg_catalog.txid_visible_in_snapshot(CASE WHEN x - m > 2147483648 THEN x - 4294967296 WHEN m - x > 2147483648 THEN x + 4294967296 ELSE x END, s)
        FROM (SELECT s, pg_catalog.txid_snapshot_xmax(s) AS m, (pg_catalog.txid_snapshot_xmax(s) & ~4294967295) | $1 AS x FROM pg_catalog.txid_current_snapshot() AS s) AS q
        """;

    const string ColumnsSql =
        """
        SELECT a.attnum, a.attname::text, a.attisdropped, a.atttypid, a.atttypmod, a.attgenerated <> '', a.attidentity <> '', a.attnotnull,
            CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
            a.atthasmissing, CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END,
            CASE WHEN a.attcollation <> t.typcollation THEN pg_catalog.format('%I.%I', n.nspname, c.collname) END
        FROM pg_catalog.pg_attribute a
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
        WHERE a.attrelid = $1::oid AND a.attnum > 0
        """;

    const string TypesSql =
        "SELECT pg_catalog.format_type(t::oid, m) FROM unnest($1, $2) WITH ORDINALITY AS u(t, m, place) ORDER BY place";

    const string DroppedSql =
        "SELECT attrelid, attnum FROM pg_catalog.pg_attribute WHERE attisdropped AND attnum > 0 AND attrelid IN (SELECT t::oid FROM unnest($1) AS t)";

    const string PositionSql =
        "SELECT (CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END)::text";

    readonly SemaphoreSlim _turn = new(1);
    NpgsqlConnection? _connection;

    public async Task<SourceTable> ReadAsync(TableSchema described, uint xid, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            var connection = await ConnectAsync(cancellationToken);
            var started = time.GetTimestamp();
            while (true)
            {
                if (await TryReadAsync(connection, described, xid, cancellationToken) is { } table)
                    return table;
                if (time.GetElapsedTime(started) > VisibleWithin)
                {
                    throw new StreamException(
                        StreamErrorKind.Source,
                        $"The source {options.Source} has sent transaction {xid} and does not show it to others within {VisibleWithin.TotalSeconds:0} seconds, so that the columns of " +
                        $"{described} cannot be told. It may wait for a synchronous standby: mend that, then start the stream again; it goes on where it stopped.");
                }

                await Task.Delay(Pause, time, cancellationToken);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<(IReadOnlyList<(uint RelationId, short Number)> Dropped, Lsn Before)> ReadDroppedAsync(
        IReadOnlyList<uint> relationIds, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            // The position is read after the columns, so that whatever has dropped them lies before it.
            await using var batch = new NpgsqlBatch(await ConnectAsync(cancellationToken));
            batch.BatchCommands.Add(new NpgsqlBatchCommand(DroppedSql) { Parameters = { new() { Value = relationIds.Select(static id => (long)id).ToArray() } } });
            batch.BatchCommands.Add(new NpgsqlBatchCommand(PositionSql));
            await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
            var dropped = new List<(uint, short)>();
            while (await reader.ReadAsync(cancellationToken))
                dropped.Add((reader.GetFieldValue<uint>(0), reader.GetInt16(1)));
            await reader.NextResultAsync(cancellationToken);
            await reader.ReadAsync(cancellationToken);
            return (dropped, Lsn.Parse(reader.GetString(0)));
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask CloseAsync()
    {
        await _turn.WaitAsync();
        try
        {
            await CloseConnectionAsync();
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose()
    {
        _connection?.Dispose();
        _turn.Dispose();
    }

    async Task<NpgsqlConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        if (_connection is { } open && SessionSettings.IsOpen(open))
            return open;
        await CloseConnectionAsync();
        return _connection = await SessionSettings.OpenAsync(
            SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} catalog"), cancellationToken);
    }

    async ValueTask CloseConnectionAsync()
    {
        if (_connection is { } connection)
            await connection.DisposeAsync();
        _connection = null;
    }

    static async Task<SourceTable?> TryReadAsync(NpgsqlConnection connection, TableSchema described, uint xid, CancellationToken cancellationToken)
    {
        // Each command has a snapshot of its own, and the later ones see at least what the first one sees.
        await using var batch = new NpgsqlBatch(connection);
        batch.BatchCommands.Add(new NpgsqlBatchCommand(VisibleSql) { Parameters = { new() { Value = (long)xid } } });
        batch.BatchCommands.Add(new NpgsqlBatchCommand(ColumnsSql) { Parameters = { new() { Value = (long)described.RelationId } } });
        batch.BatchCommands.Add(new NpgsqlBatchCommand(TypesSql)
        {
            Parameters =
            {
                new() { Value = described.Columns.Select(column => (long)column.TypeId).ToArray() },
                new() { Value = described.Columns.Select(column => column.TypeModifier).ToArray() },
            },
        });
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        if (!reader.GetBoolean(0))
            return null;
        await reader.NextResultAsync(cancellationToken);
        var columns = new Dictionary<short, SourceColumn>();
        while (await reader.ReadAsync(cancellationToken))
        {
            columns.Add(reader.GetInt16(0), new SourceColumn(
                reader.GetInt16(0), reader.GetString(1), reader.GetBoolean(2), reader.GetFieldValue<uint>(3), reader.GetInt32(4), reader.GetBoolean(5),
                reader.GetBoolean(6), reader.GetBoolean(7), Text(reader, 8), reader.GetBoolean(9), Text(reader, 10), Text(reader, 11)));
        }

        await reader.NextResultAsync(cancellationToken);
        var types = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
            types.Add(reader.GetString(0));
        return new SourceTable(columns, types);
    }

    static string? Text(NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);
}
