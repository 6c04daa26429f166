namespace Tributary.Streaming.Sources.Spooling;

/// <summary>
/// The folder for transactions that exceed the budget of memory. Nothing in it outlives the connection: the slot sends again what was not confirmed.
/// So what an earlier process has left is removed at the start, under a lock that keeps two processes apart.
/// Failure: a disk that is full or broken ends the stream with a StreamException of kind SpoolFull or Spool; nothing is confirmed, and a restart goes on.
/// </summary>
internal sealed class SpoolFolder(StreamOptions options) : IDisposable
{
    const string LockName = "lock";
    const string Pattern = "*.spool";

    /// <summary>ENOSPC of Linux, as the code of an IOException.</summary>
    const int NoSpaceLeft = 28;

    FileStream? _lock;
    long _bytes;

    public string Path { get; } = options.SpoolFolder;

    /// <summary>Bytes on disk now.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Removes what an earlier process has left.</summary>
    public void Clean()
    {
        if (Directory.Exists(Path))
            Guard("be prepared", () => Lock());
    }

    public SpoolFile Create(uint xid) => Guard("hold another file", () =>
    {
        if (_lock is null)
        {
            Directory.CreateDirectory(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            Lock();
        }

        return new SpoolFile(this, System.IO.Path.Combine(Path, $"{xid}.spool"), SpoolHeader.Bytes(options, xid));
    });

    /// <summary>Before bytes are written: the stream's own bound, and the space that must stay free for others.</summary>
    public void Reserve(int bytes)
    {
        var held = Interlocked.Add(ref _bytes, bytes);
        if (options.SpoolBytesMax > 0 && held > options.SpoolBytesMax)
            throw Exceeded(bytes, $"{nameof(StreamOptions.SpoolBytesMax)} is {options.SpoolBytesMax}");
        var free = Guard("be asked for its free space", () => new DriveInfo(Path).AvailableFreeSpace);
        if (free - bytes < options.SpoolReserveBytes)
            throw Exceeded(bytes, $"its disk has {free} bytes free, of which {options.SpoolReserveBytes} are kept ({nameof(StreamOptions.SpoolReserveBytes)})");
    }

    public void Release(long bytes) => Interlocked.Add(ref _bytes, -bytes);

    public StreamException Failed(string what, Exception exception) => new(
        (exception.HResult & 0xFFFF) == NoSpaceLeft ? StreamErrorKind.SpoolFull : StreamErrorKind.Spool,
        $"The spool folder {Path} of the stream '{options.Name}' cannot {what}: {exception.Message}. Nothing was confirmed to the source; mend the folder or its disk, " +
        "or name another one, then start the stream again.",
        exception);

    public void Dispose()
    {
        if (_lock is null)
            return;
        try
        {
            RemoveFiles();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // What stays is removed by the next start.
        }

        _lock.Dispose();
        _lock = null;
    }

    T Guard<T>(string what, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Failed(what, exception);
        }
    }

    FileStream Lock()
    {
        // FileShare.None is an advisory lock of the operating system's (flock), which ends with the process however that ends.
        _lock ??= new FileStream(System.IO.Path.Combine(Path, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        RemoveFiles();
        return _lock;
    }

    void RemoveFiles()
    {
        foreach (var file in Directory.EnumerateFiles(Path, Pattern))
            File.Delete(file);
    }

    StreamException Exceeded(int bytes, string bound)
    {
        Release(bytes);
        return new StreamException(
            StreamErrorKind.SpoolFull,
            $"The spool folder {Path} of the stream '{options.Name}' holds {Bytes} bytes and needs {bytes} more, but {bound}. Nothing was confirmed to the source; " +
            "make room or raise the bound, then start the stream again.");
    }
}
