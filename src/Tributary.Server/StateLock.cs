using System.Globalization;

namespace Tributary.Server;

/// <summary>
/// Guarantees one server a state folder: a lock on a file in it, which the kernel frees however the process ends. The file stays; only the
/// lock counts, so a crash leaves nothing to clean up by hand.
/// </summary>
public sealed class StateLock : IDisposable
{
    readonly FileStream _file;
    readonly string _pidFile;

    readonly bool _madeFolder;

    StateLock(FileStream file, string pidFile, bool madeFolder)
    {
        _file = file;
        _pidFile = pidFile;
        _madeFolder = madeFolder;
    }

    /// <summary>Takes the lock, making the folder when it is missing; on failure says who holds it or why the folder does not serve.</summary>
    public static StateLock? TryTake(string stateDirectory, out OperationFailure? failure)
    {
        var pidFile = Path.Combine(stateDirectory, "tributary.pid");
        failure = null;
        try
        {
            var madeFolder = !Directory.Exists(stateDirectory);
            MakeFolder(stateDirectory);
            // FileShare.None takes flock(2), which belongs to the open file and ends with it.
            var file = new FileStream(FileIn(stateDirectory), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            File.WriteAllText(pidFile, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            return new StateLock(file, pidFile, madeFolder);
        }
        catch (UnauthorizedAccessException)
        {
            failure = new OperationFailure(
                FailureKind.StateUnusable, $"the state folder {stateDirectory} cannot be written by this user", "run as root, or name another folder with --state or 'state:'");
        }
        catch (IOException exception) when (IsHeld(exception))
        {
            failure = new OperationFailure(
                FailureKind.AlreadyRunning, $"another tributary runs on the state folder {stateDirectory}, pid {HolderOf(pidFile)}",
                "stop it first, or give this one a folder of its own with --state or 'state:'");
        }
        catch (IOException exception)
        {
            failure = new OperationFailure(
                FailureKind.StateUnusable, $"the state folder {stateDirectory} cannot be used: {exception.Message}", "name another folder with --state or 'state:'");
        }

        return null;
    }

    /// <summary>Makes the state folder when it is missing. The user that runs Postgres passes through to its data; nobody lists or reads what is here.</summary>
    public static void MakeFolder(string stateDirectory) => Directory.CreateDirectory(
        stateDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);

    /// <summary>Whether a server runs on the folder. A look that meets the moment of another's start would fail that one, so it is for who waits for an end.</summary>
    public static bool IsHeld(string stateDirectory)
    {
        try
        {
            if (!File.Exists(FileIn(stateDirectory)))
                return false;
            using var file = new FileStream(FileIn(stateDirectory), FileMode.Open, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (IOException exception) when (IsHeld(exception))
        {
            return true;
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            // Removed meanwhile, or another user's: a start on it says which.
            return false;
        }
    }

    /// <summary>Frees the lock; a second call does nothing.</summary>
    public void Dispose()
    {
        if (!_file.CanWrite)
            return;
        File.Delete(_pidFile);
        _file.Dispose();
    }

    /// <summary>After <see cref="Dispose"/>: removes the folder when this lock made it and nothing else was put into it.</summary>
    public void RemoveFolderIfMade()
    {
        if (_madeFolder)
            RemoveFolder();
    }

    /// <summary>After <see cref="Dispose"/>: removes the folder unless something is in it beside the lock; answers whether it did.</summary>
    public bool RemoveFolder()
    {
        var folder = Path.GetDirectoryName(_pidFile)!;
        File.Delete(_file.Name);
        if (Directory.EnumerateFileSystemEntries(folder).Any())
            return false;
        Directory.Delete(folder);
        return true;
    }

    // EWOULDBLOCK of flock reaches us as a bare IOException whose code is the error number (11 on Linux); other failures have types or other codes.
    static bool IsHeld(IOException exception) => exception.GetType() == typeof(IOException) && (exception.HResult & 0xFFFF) == 11;

    static string FileIn(string stateDirectory) => Path.Combine(stateDirectory, "tributary.lock");

    static string HolderOf(string pidFile)
    {
        try
        {
            return File.ReadAllText(pidFile).Trim() is { Length: > 0 } pid ? pid : "unknown";
        }
        catch (IOException)
        {
            return "unknown";
        }
    }
}
