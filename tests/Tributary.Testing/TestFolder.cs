namespace Tributary.Testing;

/// <summary>Folders for one test run, removed when the test process ends in order.</summary>
public static class TestFolder
{
    // Short, since the path of a Unix socket holds at most 107 bytes.
    static readonly string Root = Directory.CreateTempSubdirectory("trib-").FullName;

    static TestFolder()
    {
        File.SetUnixFileMode(Root, File.GetUnixFileMode(Root) | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherRead);
        AppDomain.CurrentDomain.ProcessExit += (_, _) =>
        {
            try
            {
                Directory.Delete(Root, recursive: true);
            }
            catch (IOException)
            {
                // A server that still ends writes into its folder; the temporary folder is the operating system's to clean then.
            }
        };
    }

    public static string New(string name)
    {
        var path = Path.Combine(Root, $"{name}-{Guid.NewGuid().ToString("N")[..8]}");
        Directory.CreateDirectory(path);
        return path;
    }
}
