using System.Globalization;
using System.Text.Json;

namespace Tributary.Streaming;

public enum ChangeKind
{
    Insert,
    Update,
    Delete,
    Truncate,

    /// <summary>A command that changed the schema; it took effect at its place among the row changes of its transaction.</summary>
    Schema,
}

/// <summary>What the source sent of the row as it was.</summary>
public enum OldRowKind
{
    /// <summary>Nothing: the key did not change.</summary>
    None,

    /// <summary>The columns of the replica identity; the others are null.</summary>
    Key,

    /// <summary>All columns.</summary>
    Full,
}

/// <summary>One change of one row, one TRUNCATE, or one change of the schema.</summary>
/// <param name="Table">For a TRUNCATE its first table; null for a change of the schema.</param>
/// <param name="New">The row after an insert or an update; empty otherwise.</param>
/// <param name="Old">The row before an update or a delete, as far as <paramref name="OldKind"/> says.</param>
public readonly record struct Change(
    ChangeKind Kind, TableSchema Table, RowImage New, RowImage Old, OldRowKind OldKind, TableTruncation? Truncation = null, SchemaChange? Schema = null);

/// <param name="Tables">All tables that the command emptied, those reached by CASCADE included.</param>
public sealed record TableTruncation(IReadOnlyList<TableSchema> Tables, bool Cascade, bool RestartIdentity);

/// <summary>
/// One command that changed the schema, as the source's event triggers described it; or, without them, the description of a table that came before
/// its rows and is not the one known.
/// </summary>
/// <param name="Tag">The command tag, for example <c>ALTER TABLE</c>, or <c>RELATION</c> for a description.</param>
/// <param name="Json">The whole message: the command, its objects, and each relation's shape before and after; or the table as it is described.</param>
public sealed record SchemaChange(string Tag, string Json)
{
    const string DescriptionTag = "RELATION";
    const string RepeatedTag = "RELATION AGAIN";

    /// <summary>Whether it is a description of a table that came with its rows.</summary>
    internal bool IsDescription => Tag is DescriptionTag or RepeatedTag;

    /// <summary>A description that shows the table as it is known. It counts only if the source has dropped one of these columns meanwhile.</summary>
    internal bool IsRepeated => Tag == RepeatedTag;

    internal static SchemaChange Describing(TableSchema table, bool isRepeated) =>
        new(isRepeated ? RepeatedTag : DescriptionTag, TableDescription.Write(table));

    internal TableSchema Described() => TableDescription.Read(Json);

    /// <summary>
    /// The source's numbers of the relations that the command created. A command such as CREATE TABLE AS writes their first rows before it ends,
    /// and so before its description.
    /// </summary>
    internal IReadOnlySet<uint> CreatedRelations()
    {
        var created = new HashSet<uint>();
        using var document = JsonDocument.Parse(Json);
        if (!document.RootElement.TryGetProperty("objects", out var objects))
            return created;
        foreach (var item in objects.EnumerateArray())
        {
            if (!item.TryGetProperty("before", out _) && item.TryGetProperty("id", out var id) && item.GetProperty("after").GetProperty("class").GetString() == "relation")
                created.Add(id.ValueKind == JsonValueKind.String ? uint.Parse(id.GetString()!, CultureInfo.InvariantCulture) : id.GetUInt32());
        }

        return created;
    }
}
