using System.Text.Json;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>Reads the descriptions that the source's event triggers write; a field that is null there is left out.</summary>
internal static class DdlJson
{
    public static string? Text(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value.ValueKind == JsonValueKind.String ? value.GetString() : value.GetRawText() : null;

    public static string Required(this JsonElement element, string name) =>
        element.Text(name) ?? throw new JsonException($"the description has no {name}");

    public static bool Flag(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    /// <summary>The named fields of an object, by their names; none when it is left out.</summary>
    public static IReadOnlyDictionary<string, JsonElement> Parts(this JsonElement element, string name)
    {
        var parts = new Dictionary<string, JsonElement>();
        if (element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in value.EnumerateObject())
                parts.Add(property.Name, property.Value);
        }

        return parts;
    }

    public static IReadOnlyList<JsonElement> Items(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : [];

    public static JsonElement Field(this JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : default;

    /// <summary>Settings of the form <c>name=value</c>, by name.</summary>
    public static IReadOnlyDictionary<string, string> Settings(this JsonElement element, string name)
    {
        var settings = new Dictionary<string, string>();
        foreach (var item in element.Items(name))
        {
            var text = item.GetString()!;
            var split = text.IndexOf('=', StringComparison.Ordinal);
            settings[text[..split]] = text[(split + 1)..];
        }

        return settings;
    }
}
