using System.Collections.Immutable;
using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>What identifies the old row of an update or a delete.</summary>
public enum ReplicaIdentity
{
    Nothing,
    Key,
    Full,
}

/// <summary>
/// One version of a table's shape. It never changes: a table whose shape changes gets a new object, so a consumer may keep what it derived
/// from a version in a dictionary keyed by the reference.
/// </summary>
/// <param name="relationId">The source's identifier of the table; stays the same when the table is renamed.</param>
public sealed class TableSchema(uint relationId, string schema, string name, ReplicaIdentity identity, ImmutableArray<ColumnSchema> columns)
{
    public uint RelationId { get; } = relationId;

    public string Schema { get; } = schema;

    public string Name { get; } = name;

    public ReplicaIdentity Identity { get; } = identity;

    public ImmutableArray<ColumnSchema> Columns { get; } = columns;

    /// <summary>The name as a person writes it, for messages.</summary>
    public override string ToString() => SqlQuoting.Qualified(Schema, Name);
}

/// <param name="TypeId">The source's identifier of the type; below 16,384 it is the same in every Postgres.</param>
/// <param name="TypeName">The qualified name of a type that is not built in; null for a built-in one.</param>
/// <param name="TypeModifier">Length or precision in the source's form; -1 for none.</param>
/// <param name="IsKey">Part of the replica identity.</param>
public sealed record ColumnSchema(string Name, uint TypeId, string? TypeName, int TypeModifier, bool IsKey);
