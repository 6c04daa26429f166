namespace Tributary.Streaming.Sources;

/// <summary>
/// What becomes of the descriptions that the server sends before a table's rows: on each connection, after each change of the table, and in each
/// transaction that comes in parts. One lives as long as a connection.
/// 1. One that shows another table than the target has is passed on as a change of the schema, at its place among the rows.
/// 2. One that shows the same says nothing new unless a column was dropped and another of its name added. Of a committed transaction the source's
///    catalog tells at once; of an open one it will tell at the commit, and the description is kept until then.
/// </summary>
/// <param name="isBinary">Whether the rows come in binary.</param>
internal sealed class TableDescriptions(FollowedTables followed, StreamOptions options, bool isBinary)
{
    readonly Dictionary<uint, TableSchema> _latest = [];

    /// <param name="committedXid">The transaction, if it is committed already.</param>
    /// <exception cref="IOException">The table's rows must not come in binary; they come again as text when the link is made anew.</exception>
    public async ValueTask<SchemaChange?> TakeAsync(TableSchema table, uint? committedXid, CancellationToken cancellationToken)
    {
        if (isBinary && !BinaryForm.Suits(table))
        {
            followed.NeedsText = true;
            throw new IOException($"Table {table} has a type whose binary form does not mean the same at the target; the rows are asked for as text from here on.");
        }

        if (!followed.IsOn)
            return null;
        // What was passed on before may wait to be written, so that the target has not this shape yet or no longer.
        var isLatest = !_latest.TryGetValue(table.RelationId, out var latest) || ReferenceEquals(latest, table);
        _latest[table.RelationId] = table;
        if (!isLatest || followed.Find(table.RelationId) is not { } known || !known.IsShownBy(table))
            return SchemaChange.Describing(table, isRepeated: false);
        // Lines have no older rows that a column dropped and added again would empty.
        if (options.Stdout is not null)
            return null;
        if (committedXid is not { } xid)
            return SchemaChange.Describing(table, isRepeated: true);
        return await followed.IsUnchangedAsync(table, xid, cancellationToken) ? null : SchemaChange.Describing(table, isRepeated: false);
    }

    public async ValueTask<bool> AreUnchangedAsync(IEnumerable<TableSchema> repeated, uint xid, CancellationToken cancellationToken)
    {
        foreach (var table in repeated)
        {
            if (!await followed.IsUnchangedAsync(table, xid, cancellationToken))
                return false;
        }

        return true;
    }
}
