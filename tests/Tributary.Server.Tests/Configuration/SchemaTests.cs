using System.Text.Json;
using Tributary.Server.Configuration;

namespace Tributary.Server.Tests.Configuration;

/// <summary>An editor that checks a file by the published schema knows exactly the keys that the reader knows.</summary>
public sealed class SchemaTests
{
    [Fact]
    public void The_schema_names_every_key_and_no_other()
    {
        var file = Path.Combine(RepositoryRoot(), "docs/tributary.schema.json");
        using var schema = JsonDocument.Parse(File.ReadAllText(file));
        var named = new SortedDictionary<string, string[]>(StringComparer.Ordinal);

        Collect(schema.RootElement, "", named);

        Assert.Equal(
            ConfigurationKeys.BySection.OrderBy(section => section.Key, StringComparer.Ordinal).Select(section => (section.Key, string.Join(' ', section.Value.Order(StringComparer.Ordinal)))),
            named.Select(section => (section.Key, string.Join(' ', section.Value))));
    }

    // A section is an object that refuses keys of other names; without the refusal a slip would pass.
    static void Collect(JsonElement schema, string path, SortedDictionary<string, string[]> named)
    {
        if (schema.TryGetProperty("items", out var items))
        {
            Collect(items, $"{path}[]", named);
            return;
        }

        if (!schema.TryGetProperty("properties", out var properties))
            return;
        Assert.False(schema.GetProperty("additionalProperties").GetBoolean(), path);
        named[path] = [.. properties.EnumerateObject().Select(property => property.Name).Order(StringComparer.Ordinal)];
        foreach (var property in properties.EnumerateObject())
        {
            Assert.True(property.Value.TryGetProperty("description", out _), $"{path}.{property.Name} has no description");
            Collect(property.Value, path.Length == 0 ? property.Name : $"{path}.{property.Name}", named);
        }
    }

    static string RepositoryRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Tributary.slnx")))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }
}
