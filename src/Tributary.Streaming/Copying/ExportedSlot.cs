using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Copying;

/// <summary>
/// The stream's slot, newly made, and the snapshot of its own position. The snapshot can be taken up until this is disposed; the slot stays.
/// Source: https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT
/// </summary>
internal sealed class ExportedSlot : IAsyncDisposable
{
    readonly ServerSession _session;

    ExportedSlot(ServerSession session, Lsn position, string snapshot)
    {
        _session = session;
        Position = position;
        Snapshot = snapshot;
    }

    /// <summary>What commits behind it comes by the stream; what has committed before is in the snapshot.</summary>
    public Lsn Position { get; }

    public string Snapshot { get; }

    /// <summary>Waits until every transaction that runs at the source now has ended.</summary>
    public static async Task<ExportedSlot> CreateAsync(NpgsqlConnection source, StreamOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var session = await SessionSettings.OpenReplicationAsync(options.Source, $"tributary {options.Name} snapshot", time, cancellationToken);
        try
        {
            var mayFailOver = options.FailoverSlot && session.ServerMajor >= 17 && !await IsStandbyAsync(source, cancellationToken);
            var rows = await session.QueryAsync(Command(options.SlotName, session.ServerMajor, mayFailOver), cancellationToken);
            return rows is [[_, { } position, { } snapshot, ..]]
                ? new ExportedSlot(session, Lsn.Parse(position), snapshot)
                : throw new StreamException(StreamErrorKind.Source, $"The source {options.Source} exported no snapshot with the slot '{options.SlotName}'.");
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => _session.DisposeAsync();

    // The options in brackets are Postgres 15's; the older form is understood by all before.
    static string Command(string slot, int serverMajor, bool mayFailOver) =>
        $"CREATE_REPLICATION_SLOT {SqlQuoting.Identifier(slot)} LOGICAL pgoutput " +
        (serverMajor < 15 ? "EXPORT_SNAPSHOT" : mayFailOver ? "(SNAPSHOT 'export', FAILOVER true)" : "(SNAPSHOT 'export')");

    static async Task<bool> IsStandbyAsync(NpgsqlConnection source, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT pg_catalog.pg_is_in_recovery()", source);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
