using System.Xml.Linq;

namespace Tributary.Architecture.Tests;

/// <summary>Which project may reference which. The table is the rule; ARCHITECTURE.md draws it.</summary>
public sealed class ReferenceRulesTests
{
    static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Tributary.Postgres"] = [],
        ["Tributary.Contracts"] = [],
        ["Tributary.Streaming"] = ["Tributary.Postgres"],
        ["Tributary.Branching"] = ["Tributary.Postgres"],
        ["Tributary.Gateway"] = ["Tributary.Postgres"],
        ["Tributary.Demo"] = ["Tributary.Contracts", "Tributary.Postgres"],
        ["Tributary.Server"] =
            ["Tributary.Streaming", "Tributary.Branching", "Tributary.Gateway", "Tributary.Contracts", "Tributary.Postgres"],
        ["Tributary.Cli"] = ["Tributary.Server", "Tributary.Demo", "Tributary.Contracts", "Tributary.Postgres"],
    };

    [Fact]
    public void Projects_reference_only_what_their_layer_may()
    {
        var wrong =
            from project in Repository.Projects("src")
            let name = Path.GetFileNameWithoutExtension(project)
            from referenced in Repository.Includes(project, "ProjectReference")
            where !Allowed.TryGetValue(name, out var allowed) || !allowed.Contains(referenced)
            select $"{name} must not reference {referenced}";

        Finding.None(wrong);
    }

    [Fact]
    public void Every_project_has_a_place_in_the_rule() =>
        Assert.Equal(Allowed.Keys.Order(), Repository.Projects("src").Select(Path.GetFileNameWithoutExtension).Order());

    // What a project references indirectly would otherwise be usable without a line in its project file.
    [Fact]
    public void Indirect_references_stay_unusable() =>
        Assert.Equal("true", Property("DisableTransitiveProjectReferences"));

    [Fact]
    public void Warnings_are_errors() => Assert.Equal("true", Property("TreatWarningsAsErrors"));

    [Fact]
    public void Every_project_is_in_the_solution()
    {
        var listed = XDocument.Load(Repository.PathOf("Tributary.slnx")).Descendants("Project").Select(project => project.Attribute("Path")!.Value);

        Assert.Equal(Repository.Projects("src", "tests", "benchmarks").Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }

    // The gateway relays bytes and asks its port about branches; a database driver or a catalog in it would be a second owner of that knowledge.
    [Theory]
    [InlineData("Tributary.Gateway", "Npgsql")]
    [InlineData("Tributary.Gateway", "Microsoft.Data.Sqlite.Core")]
    [InlineData("Tributary.Streaming", "Microsoft.Data.Sqlite.Core")]
    [InlineData("Tributary.Postgres", "Npgsql")]
    [InlineData("Tributary.Contracts", "Npgsql")]
    [InlineData("Tributary.Cli", "Npgsql")]
    public void A_layer_does_without(string project, string package) =>
        Assert.DoesNotContain(package, Repository.Includes($"src/{project}/{project}.csproj", "PackageReference"));

    [Fact]
    public void Versions_are_stated_in_one_file()
    {
        var wrong =
            from project in Repository.Projects("src", "tests", "benchmarks")
            from reference in XDocument.Load(Repository.PathOf(project)).Descendants("PackageReference")
            where reference.Attribute("Version") is not null
            select $"{project} states a version of {reference.Attribute("Include")?.Value}";

        Finding.None(wrong);
    }

    static string? Property(string name) => XDocument.Load(Repository.PathOf("Directory.Build.props")).Descendants(name).Single().Value;
}
