using Tributary.Branching;

namespace Tributary.Server;

/// <summary>What a server in the background prints and logs: one file in its state folder and an older one, both bounded.</summary>
public sealed class ServerLog(string stateDirectory)
{
    /// <summary>A line of the log is about 100 bytes and a quiet server writes one a minute: two months in each file.</summary>
    const long BytesMax = 8L << 20;

    readonly ComputeLog _log = new(Path.Combine(stateDirectory, "tributary.log"), BytesMax);

    public string File => _log.File;

    /// <summary>Makes the state folder and the file, readable by its owner only, and keeps what an earlier server wrote as far as the bound allows.</summary>
    /// <exception cref="IOException">The folder cannot be made or written.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    public void Prepare()
    {
        StateLock.MakeFolder(stateDirectory);
        new FileStream(File, new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }).Dispose();
        Bound();
    }

    /// <summary>Cuts the file when it has grown too long; who writes it appends and goes on at the new end.</summary>
    /// <exception cref="IOException">The disk refuses.</exception>
    public void Bound() => _log.Bound();

    /// <summary>The lines that were written from a position on; all of them when the file was cut since.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public IReadOnlyList<string> LinesFrom(long position)
    {
        using var file = new FileStream(File, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Position = position <= file.Length ? position : 0;
        using var reader = new StreamReader(file);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    public void Delete()
    {
        System.IO.File.Delete(_log.File);
        System.IO.File.Delete(_log.OlderFile);
    }
}
