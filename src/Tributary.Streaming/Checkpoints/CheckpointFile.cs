using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Checkpoints;

/// <summary>
/// A checkpoint in a file of two lines: the checkpoint as JSON, and the SHA-256 of that line. A new one is written beside it, synchronized
/// with the disk, and renamed over it. A power cut that undoes the rename brings back an older position, from which changes are sent again;
/// none is left out. The lock is on a file of its own, since the renaming replaces the checkpoint's; the kernel frees it however the process ends.
/// </summary>
internal sealed class CheckpointFile(string path, string pipeline) : ICheckpointStore
{
    FileStream? _lock;

    string LockPath => LockPathOf(path);

    public Checkpoint? Open()
    {
        TakeLock();
        if (Read() is not { } saved)
            return null;
        var taken = saved with { Epoch = saved.Epoch + 1 };
        Save(taken);
        return taken;
    }

    public void Save(Checkpoint checkpoint)
    {
        var line = Serialize(checkpoint);
        var fresh = path + ".new";
        try
        {
            using (var file = new FileStream(fresh, Create()))
            {
                file.Write(line);
                file.Write(Encoding.ASCII.GetBytes($"\n{Digest(line)}\n"));
                file.Flush(flushToDisk: true);
            }

            File.Move(fresh, path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StreamException(
                StreamErrorKind.Target,
                $"The checkpoint of the stream '{pipeline}' cannot be written to {path}: {exception.Message} " +
                "Mend that, then start the stream again; changes behind the last saved position are sent again.", exception);
        }
    }

    /// <summary>Deletes a file of this kind and its lock, whether they are there or not.</summary>
    public static void Delete(string path)
    {
        File.Delete(path);
        File.Delete(LockPathOf(path));
    }

    public void Dispose() => _lock?.Dispose();

    static string LockPathOf(string path) => path + ".lock";

    static FileStreamOptions Create() => new()
    {
        Mode = FileMode.Create,
        Access = FileAccess.Write,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    };

    void TakeLock()
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            // FileShare.None takes flock(2), which belongs to the open file and ends with it.
            _lock = new FileStream(LockPath, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (UnauthorizedAccessException exception)
        {
            throw Unusable(exception);
        }
        catch (IOException exception)
        {
            // A lock that is held is told apart from a folder that does not serve by the file being there.
            throw File.Exists(LockPath)
                ? new StreamException(StreamErrorKind.Fenced, $"Another instance of the stream '{pipeline}' runs: it holds {LockPath}. Stop one of them.")
                : Unusable(exception);
        }
    }

    StreamException Unusable(Exception exception) => new(
        StreamErrorKind.Target, $"The checkpoint file {path} of the stream '{pipeline}' cannot be used: {exception.Message} Name another one.", exception);

    Checkpoint? Read()
    {
        string[] lines;
        try
        {
            lines = File.ReadAllLines(path);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unusable(exception);
        }

        if (lines.Length != 2 || Digest(Encoding.UTF8.GetBytes(lines[0])) != lines[1])
            throw Damaged("its checksum differs");
        using var json = JsonDocument.Parse(lines[0]);
        var root = json.RootElement;
        if (root.GetProperty("stream").GetString() is var stream && stream != pipeline)
            throw Damaged($"it is that of the stream '{stream}'");
        return new Checkpoint(
            root.GetProperty("state").GetString() == "streaming" ? CheckpointState.Streaming : CheckpointState.Copying,
            root.GetProperty("systemIdentifier").GetString()!, root.GetProperty("slot").GetString()!,
            Lsn.Parse(root.GetProperty("position").GetString()!), root.GetProperty("epoch").GetInt64(),
            root.TryGetProperty("timeline", out var timeline) ? timeline.GetUInt32() : 0);
    }

    StreamException Damaged(string what) => new(
        StreamErrorKind.Target,
        $"The checkpoint file {path} of the stream '{pipeline}' does not serve: {what}. Put back the right one. " +
        "Without it the position is lost: remove the file, drop the slot at the source, then start the stream again; it begins with the changes from then on.");

    byte[] Serialize(Checkpoint checkpoint)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("stream", pipeline);
            json.WriteString("state", checkpoint.State == CheckpointState.Streaming ? "streaming" : "copying");
            json.WriteString("systemIdentifier", checkpoint.SystemIdentifier);
            json.WriteString("slot", checkpoint.SlotName);
            json.WriteString("position", checkpoint.Position.ToString());
            json.WriteNumber("epoch", checkpoint.Epoch);
            json.WriteNumber("timeline", checkpoint.Timeline);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    static string Digest(ReadOnlySpan<byte> line) => Convert.ToHexStringLower(SHA256.HashData(line));
}
