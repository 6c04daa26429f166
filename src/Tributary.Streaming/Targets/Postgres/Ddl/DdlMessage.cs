using System.Text.Json;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>One message of the source's event triggers, read far enough to plan it.</summary>
/// <param name="Refusal">Why the command cannot be carried at all.</param>
/// <param name="Rewritten">Tables that are emptied; their rows follow in messages of their own.</param>
internal sealed record DdlMessage(
    string Tag, IReadOnlyList<DdlStep> Steps, IReadOnlyList<(string Object, string Why)> Reports, string? Refusal,
    IReadOnlyList<string> Rewritten, DdlRows? Rows);

/// <summary>Rows that a command has written anew, as the text of each value.</summary>
/// <param name="Json">An array of arrays.</param>
internal sealed record DdlRows(string Identity, string Sql, string Json)
{
    public static DdlRows Read(JsonElement message)
    {
        var columns = message.Items("columns").Select(column => column.GetString()!).ToList();
        var types = message.Items("types").Select(type => type.GetString()!).ToList();
        var identity = message.Required("identity");
        var values = columns.Select((_, i) => $"(r ->> {i})::{types[i]}");
        var sql = columns.Count == 0
            ? $"INSERT INTO {identity} SELECT FROM pg_catalog.jsonb_array_elements($1) AS r"
            : $"INSERT INTO {identity} ({string.Join(", ", columns)}) OVERRIDING SYSTEM VALUE SELECT {string.Join(", ", values)} FROM pg_catalog.jsonb_array_elements($1) AS r";
        return new DdlRows(identity, sql, message.Field("rows").GetRawText());
    }
}
