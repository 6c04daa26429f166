using System.Text.Json;
using System.Text.RegularExpressions;

namespace Tributary.Streaming.Tests;

/// <summary>Checks JSON against a JSON Schema, as far as our own schemas use the language; a keyword that it does not know fails.</summary>
static class JsonShape
{
    static readonly string[] Annotations = ["$schema", "$defs", "title", "description", "$ref"];

    /// <summary>What is wrong, with its path; null when nothing is.</summary>
    public static string? Mismatch(JsonElement value, JsonElement schema, JsonElement root, string path = "$")
    {
        if (schema.TryGetProperty("$ref", out var reference) &&
            Mismatch(value, root.GetProperty("$defs").GetProperty(reference.GetString()!["#/$defs/".Length..]), root, path) is { } referred)
            return referred;
        foreach (var keyword in schema.EnumerateObject().Where(keyword => !Annotations.Contains(keyword.Name)))
        {
            var wrong = keyword.Name switch
            {
                "type" => HasType(value, keyword.Value.GetString()!) ? null : $"{path} is no {keyword.Value}",
                "const" => value.ValueKind == JsonValueKind.String && value.GetString() == keyword.Value.GetString() ? null : $"{path} is not {keyword.Value}",
                "pattern" => Regex.IsMatch(value.GetString()!, keyword.Value.GetString()!) ? null : $"{path} does not match",
                "required" => keyword.Value.EnumerateArray().Where(name => !value.TryGetProperty(name.GetString()!, out _)).Select(name => $"{path}.{name} is missing").FirstOrDefault(),
                "properties" => keyword.Value.EnumerateObject()
                    .Select(property => value.TryGetProperty(property.Name, out var inner) ? Mismatch(inner, property.Value, root, $"{path}.{property.Name}") : null)
                    .FirstOrDefault(found => found is not null),
                "additionalProperties" => value.EnumerateObject()
                    .Where(property => !schema.GetProperty("properties").TryGetProperty(property.Name, out _)).Select(property => $"{path}.{property.Name} is not in the schema").FirstOrDefault(),
                "items" => value.EnumerateArray().Select((item, index) => Mismatch(item, keyword.Value, root, $"{path}[{index}]")).FirstOrDefault(found => found is not null),
                "oneOf" => OneOf(value, keyword.Value, root, path),
                _ => throw new NotSupportedException(keyword.Name),
            };
            if (wrong is not null)
                return wrong;
        }

        return null;
    }

    static string? OneOf(JsonElement value, JsonElement schemas, JsonElement root, string path)
    {
        var mismatches = schemas.EnumerateArray().Select(schema => Mismatch(value, schema, root, path)).ToList();
        return mismatches.Count(mismatch => mismatch is null) == 1 ? null : $"{path} fits none or several: {string.Join("; ", mismatches)}";
    }

    static bool HasType(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        _ => throw new NotSupportedException(type),
    };
}
