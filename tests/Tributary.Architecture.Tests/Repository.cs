using System.Xml.Linq;

namespace Tributary.Architecture.Tests;

/// <summary>The repository that this test was built from, found upwards from the test's own program.</summary>
static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string PathOf(string relative) => Path.Combine(Root, relative);

    public static string Read(string relative) => File.ReadAllText(PathOf(relative));

    public static bool Exists(string relative) => Path.Exists(PathOf(relative));

    /// <summary>Source files below a folder, relative to the root. Build output lies in <c>artifacts</c> and is never among them.</summary>
    public static IEnumerable<string> Sources(params string[] folders) =>
        folders.SelectMany(folder => Directory.EnumerateFiles(PathOf(folder), "*.cs", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(Root, file))
            .Order(StringComparer.Ordinal);

    /// <summary>Every project file, relative to the root.</summary>
    public static IEnumerable<string> Projects(params string[] folders) =>
        folders.SelectMany(folder => Directory.EnumerateFiles(PathOf(folder), "*.csproj", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(Root, file))
            .Order(StringComparer.Ordinal);

    /// <summary>Names of what a project file includes by one kind of item, for example <c>PackageReference</c>; a path is cut to its project's name.</summary>
    public static IReadOnlySet<string> Includes(string project, string item) =>
        XDocument.Load(PathOf(project)).Descendants(item)
            .Select(element => element.Attribute("Include")!.Value)
            .Select(name => name.EndsWith(".csproj", StringComparison.Ordinal) ? Path.GetFileNameWithoutExtension(name) : name)
            .ToHashSet();

    static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Tributary.slnx")))
                return directory.FullName;
        }

        throw new InvalidOperationException($"Tributary.slnx lies in no folder above {AppContext.BaseDirectory}.");
    }
}
