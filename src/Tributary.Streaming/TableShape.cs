using System.Collections.Immutable;

namespace Tributary.Streaming;

/// <summary>
/// The shape of a source's table that the target has taken over, with the numbers that the source gives its columns. A description of rows names
/// columns and not their numbers; only a number tells a renamed column from a dropped and a new one.
/// </summary>
internal sealed record TableShape(uint RelationId, string Schema, string Name, ImmutableArray<ShapeColumn> Columns)
{
    /// <summary>Whether a description shows just this. What identifies a row is none of it: it is read with each description.</summary>
    public bool IsShownBy(TableSchema described) =>
        described.Schema == Schema && described.Name == Name && described.Columns.Length == Columns.Length &&
        Columns.AsSpan().SequenceEqual(
            described.Columns.Select((column, i) => new ShapeColumn(Columns[i].Number, column.Name, column.TypeId, column.TypeModifier)).ToArray());
}

/// <param name="Number">The source's <c>attnum</c>: it is never given twice, and grows with each column that is added.</param>
internal readonly record struct ShapeColumn(short Number, string Name, uint TypeId, int TypeModifier);
