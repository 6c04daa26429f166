namespace Tributary.Load;

/// <summary>A temporary folder that other users may pass through, since servers run as one; removed at the end.</summary>
sealed class ScratchFolder : IDisposable
{
    public ScratchFolder(string name)
    {
        Path = Directory.CreateTempSubdirectory($"trib-{name}-").FullName;
        File.SetUnixFileMode(Path, File.GetUnixFileMode(Path) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    }

    public string Path { get; }

    public string Below(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
