using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace Tributary.Streaming;

/// <summary>A table's description as JSON, for the spool and for lines of changes.</summary>
internal static class TableDescription
{
    public static string Write(TableSchema table)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("id"u8, table.RelationId);
            json.WriteString("schema"u8, table.Schema);
            json.WriteString("table"u8, table.Name);
            json.WriteString("identity"u8, table.Identity.ToString());
            json.WriteStartArray("columns"u8);
            foreach (var column in table.Columns)
            {
                json.WriteStartObject();
                json.WriteString("name"u8, column.Name);
                json.WriteNumber("type"u8, column.TypeId);
                if (column.TypeName is { } typeName)
                    json.WriteString("typeName"u8, typeName);
                json.WriteNumber("modifier"u8, column.TypeModifier);
                json.WriteBoolean("key"u8, column.IsKey);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    public static TableSchema Read(string json)
    {
        using var document = JsonDocument.Parse(json);
        var table = document.RootElement;
        ImmutableArray<ColumnSchema> columns =
        [
            .. table.GetProperty("columns").EnumerateArray().Select(static column => new ColumnSchema(
                column.GetProperty("name").GetString()!, column.GetProperty("type").GetUInt32(),
                column.TryGetProperty("typeName", out var typeName) ? typeName.GetString() : null,
                column.GetProperty("modifier").GetInt32(), column.GetProperty("key").GetBoolean())),
        ];
        return new TableSchema(
            table.GetProperty("id").GetUInt32(), table.GetProperty("schema").GetString()!, table.GetProperty("table").GetString()!,
            Enum.Parse<ReplicaIdentity>(table.GetProperty("identity").GetString()!), columns);
    }
}
