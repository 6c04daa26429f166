using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>The source's catalog as it is now, read over an ordinary session. Calls may come from several threads.</summary>
internal interface ISourceCatalog
{
    /// <summary>Reads the table's columns once the transaction's own changes are visible; the stream may bring a commit a moment before that.</summary>
    /// <exception cref="StreamException">Kind Source: they do not become visible.</exception>
    Task<SourceTable> ReadAsync(TableSchema described, uint xid, CancellationToken cancellationToken);

    /// <summary>The numbers of the tables' columns that are dropped, and a position before which they were.</summary>
    Task<(IReadOnlyList<(uint RelationId, short Number)> Dropped, Lsn Before)> ReadDroppedAsync(IReadOnlyList<uint> relationIds, CancellationToken cancellationToken);

    /// <summary>Ends the session. The next reading opens another.</summary>
    ValueTask CloseAsync();
}

/// <param name="Columns">All that it ever had, dropped ones included, by number; empty when the table is gone.</param>
/// <param name="TypeNames">The described columns' types, as SQL writes them.</param>
internal sealed record SourceTable(IReadOnlyDictionary<short, SourceColumn> Columns, IReadOnlyList<string> TypeNames)
{
    // A column that is there now has been there ever since it was added.
    public bool HasAll(TableShape shape) => shape.Columns.All(column => Columns.TryGetValue(column.Number, out var found) && !found.IsDropped);
}

/// <param name="HasMissing">Whether rows that are older than the column have a value for it that only the catalog knows.</param>
/// <param name="Missing">That value as text; null for none, or for null.</param>
/// <param name="Collation">Quoted; null for the type's own.</param>
internal sealed record SourceColumn(
    short Number, string Name, bool IsDropped, uint TypeId, int TypeModifier, bool IsGenerated, bool IsIdentity, bool IsNotNull,
    string? Default, bool HasMissing, string? Missing, string? Collation);
