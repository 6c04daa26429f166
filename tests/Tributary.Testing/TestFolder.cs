namespace Tributary.Testing;

/// <summary>Folders for one test run, removed by <see cref="TestRun"/> after its last test.</summary>
public static class TestFolder
{
    // Short, since the path of a Unix socket holds at most 107 bytes.
    static readonly Lazy<string> Root = new(NewRoot);

    public static string New(string name)
    {
        var path = Path.Combine(Root.Value, $"{name}-{Guid.NewGuid().ToString("N")[..8]}");
        Directory.CreateDirectory(path);
        return path;
    }

    internal static void DeleteAll()
    {
        if (!Root.IsValueCreated)
            return;
        try
        {
            Directory.Delete(Root.Value, recursive: true);
        }
        catch (IOException)
        {
            // A server of a test's own that still ends writes into its folder; the temporary folder is the operating system's to clean then.
        }
    }

    static string NewRoot()
    {
        var root = Directory.CreateTempSubdirectory("trib-").FullName;
        File.SetUnixFileMode(root, File.GetUnixFileMode(root) | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherRead);
        return root;
    }
}
