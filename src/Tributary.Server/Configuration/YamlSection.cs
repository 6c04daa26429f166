using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Tributary.Server.Configuration;

/// <summary>A place to name in an error. What the file does not hold (a flag, a variable) comes after all of the file.</summary>
readonly record struct Place(string Name, long Line = long.MaxValue, long Column = 0);

/// <summary>A value and where it was written. <see cref="Shown"/> is what may be repeated to a person: the text before expansion.</summary>
readonly record struct Located(string Text, string Shown, Place Where, string Path);

/// <summary>What reading one file shares: its name, the environment, and the errors found so far.</summary>
sealed class ReadContext(string file, Func<string, string?> environment)
{
    readonly List<(Place Place, ConfigurationError Error)> _errors = [];

    public bool HasErrors => _errors.Count > 0;

    /// <summary>In the order of the file: reading goes section by section, and finds an unknown key before a wrong value above it.</summary>
    public IReadOnlyList<ConfigurationError> Errors => [.. _errors.OrderBy(found => found.Place.Line).ThenBy(found => found.Place.Column).Select(found => found.Error)];

    public Func<string, string?> Environment { get; } = environment;

    public Place WhereIs(Mark mark) => new($"{file}:{mark.Line}:{mark.Column}", mark.Line, mark.Column);

    public void Add(Located value, string message) => Add(value.Where, value.Path, message);

    public void Add(Place place, string path, string message) => _errors.Add((place, new ConfigurationError(place.Name, path, message)));
}

/// <summary>
/// One mapping of the file. A wrong value is reported and read as absent, so that one pass finds every error.
/// </summary>
sealed class YamlSection
{
    readonly YamlMappingNode? _node;
    readonly Mark _start;
    readonly ReadContext _context;

    /// <param name="node">Null for a section that is absent: every key of it is.</param>
    /// <param name="start">Where it begins, or for an absent or empty one, where the nearest thing around it does.</param>
    /// <param name="path">The section's key path, for messages.</param>
    /// <param name="kind">The section's entry of <see cref="ConfigurationKeys.BySection"/>.</param>
    public YamlSection(ReadContext context, YamlMappingNode? node, Mark start, string path, string kind)
    {
        _context = context;
        _node = node;
        Path = path;
        _start = start;
        if (node is not null)
            RefuseUnknownKeys(node, ConfigurationKeys.BySection[kind]);
    }

    public string Path { get; }

    public bool Exists => _node is not null;

    /// <summary>Where the section itself begins.</summary>
    public Located Here => new("", "", _context.WhereIs(_start), Path);

    public bool Has(string key) => Find(key) is not null;

    /// <summary>A value, expanded; null when it is absent, empty or not a scalar (which is reported).</summary>
    public Located? Scalar(string key)
    {
        switch (Find(key))
        {
            case null:
                return null;
            case YamlScalarNode { Value: { } text, Style: var style } scalar:
                // An empty plain value and "null" are YAML's way to say nothing.
                if (style == ScalarStyle.Plain && text is "" or "null" or "~")
                    return null;
                var located = new Located(text, text, _context.WhereIs(scalar.Start), KeyPath(key));
                var complete = true;
                var expanded = ScalarText.Expand(text, _context.Environment, name =>
                {
                    complete = false;
                    _context.Add(located, $"the environment variable {name} is not set; set it, or write ${{{name}:-default}}");
                });
                return complete ? located with { Text = expanded } : null;
            case var node:
                _context.Add(_context.WhereIs(node.Start), KeyPath(key), $"a single value is expected here, not a {Kind(node)}");
                return null;
        }
    }

    public YamlSection Section(string key, string kind) => new(_context, Mapping(Find(key), KeyPath(key)), Find(key)?.Start ?? _start, KeyPath(key), kind);

    /// <summary>The mappings of a list, each with its index in its path.</summary>
    public IReadOnlyList<YamlSection> List(string key, string kind)
    {
        switch (Find(key))
        {
            case null or YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "null" or "~" }:
                return [];
            case YamlSequenceNode sequence:
                var sections = new List<YamlSection>();
                foreach (var (index, item) in sequence.Children.Index())
                {
                    if (Mapping(item, $"{KeyPath(key)}[{index}]") is { } mapping)
                        sections.Add(new YamlSection(_context, mapping, item.Start, $"{KeyPath(key)}[{index}]", kind));
                }

                return sections;
            case var node:
                _context.Add(_context.WhereIs(node.Start), KeyPath(key), $"a list is expected here (lines that begin with '- '), not a {Kind(node)}");
                return [];
        }
    }

    public string KeyPath(string key) => Path.Length == 0 ? key : $"{Path}.{key}";

    YamlNode? Find(string key) => _node?.Children.FirstOrDefault(pair => pair.Key is YamlScalarNode { Value: var name } && name == key).Value;

    YamlMappingNode? Mapping(YamlNode? node, string path)
    {
        if (node is null or YamlMappingNode or YamlScalarNode { Style: ScalarStyle.Plain, Value: "" or "null" or "~" })
            return node as YamlMappingNode ?? (node is null ? null : new YamlMappingNode());
        _context.Add(_context.WhereIs(node.Start), path, $"keys and values are expected here, not a {Kind(node)}");
        return null;
    }

    void RefuseUnknownKeys(YamlMappingNode node, IReadOnlyList<string> known)
    {
        foreach (var key in node.Children.Keys)
        {
            var name = (key as YamlScalarNode)?.Value ?? "";
            if (known.Contains(name))
                continue;
            var advice = ConfigurationKeys.Nearest(name, known) is { } near ? $"did you mean '{near}'?" : $"known here: {string.Join(", ", known)}";
            _context.Add(_context.WhereIs(key.Start), KeyPath(name), $"there is no such key; {advice}");
        }
    }

    static string Kind(YamlNode node) => node switch { YamlSequenceNode => "list", YamlMappingNode => "section", _ => "single value" };
}
