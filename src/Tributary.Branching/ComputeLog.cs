namespace Tributary.Branching;

/// <summary>
/// The log of one branch's Postgres: a file that the server appends to, and the one before it. Its size is bounded by copying it to the older
/// one and cutting it to nothing: the server keeps its file open and goes on at the new end. A line written in between is lost.
/// </summary>
/// <param name="File">The file that is written now.</param>
/// <param name="BytesMax">Beyond this it is cut.</param>
public sealed record ComputeLog(string File, long BytesMax)
{
    public string OlderFile => File + ".1";

    /// <summary>Cuts the file when it has grown too long.</summary>
    /// <exception cref="IOException">The state folder's disk refuses.</exception>
    public void Bound()
    {
        var info = new FileInfo(File);
        if (!info.Exists || info.Length <= BytesMax)
            return;
        using var log = new FileStream(File, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        using (var older = new FileStream(OlderFile, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            // Only the newest part: a branch that logs faster than this is called must not make the older file long.
            log.Position = log.Length - BytesMax;
            log.CopyTo(older);
        }

        log.SetLength(0);
    }

    /// <summary>The last lines of both files, oldest first, and the position in the newer file after them.</summary>
    public (IReadOnlyList<string> Lines, long End) Tail(int lines)
    {
        var last = new Queue<string>();
        var end = 0L;
        foreach (var file in new[] { OlderFile, File })
        {
            try
            {
                using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
                while (reader.ReadLine() is { } line)
                {
                    last.Enqueue(line);
                    if (last.Count > lines)
                        last.Dequeue();
                }

                end = file == File ? reader.BaseStream.Position : end;
            }
            catch (IOException)
            {
                // A branch that has never run has no log, and few have an older one.
            }
        }

        return ([.. last], end);
    }
}
