using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Tributary.Branching.Storage;

/// <summary>
/// What every branch does with its subvolume, by the calls that the program <c>btrfs</c> makes, which takes some milliseconds of a processor to start.
/// Source: https://btrfs.readthedocs.io/en/latest/btrfs-ioctl.html and include/uapi/linux/btrfs.h of Linux.
/// </summary>
internal static class BtrfsSubvolume
{
    const nuint SnapshotRequest = 0x50009417; // BTRFS_IOC_SNAP_CREATE_V2: _IOW(0x94, 23, struct btrfs_ioctl_vol_args_v2)
    const nuint DestroyRequest = 0x5000940F; // BTRFS_IOC_SNAP_DESTROY: _IOW(0x94, 15, struct btrfs_ioctl_vol_args)
    const nuint GetFlagsRequest = 0x80089419; // BTRFS_IOC_SUBVOL_GETFLAGS: _IOR(0x94, 25, __u64)
    const nuint SetFlagsRequest = 0x4008941A; // BTRFS_IOC_SUBVOL_SETFLAGS: _IOW(0x94, 26, __u64)
    const ulong ReadOnly = 1 << 1; // BTRFS_SUBVOL_RDONLY

    /// <summary>Both structures with a name are a page, the name at their end; it is a file's name, of at most 255 bytes (BTRFS_VOL_NAME_MAX).</summary>
    const int ArgumentBytes = 4096;
    const int SnapshotNameOffset = 56; // fd, transid, flags, and four reserved words.
    const int DestroyNameOffset = 8; // fd.

    /// <summary>Calls under way. Each has a thread while it waits for a commit, which those that wait together share; a burst has fifty.</summary>
    static readonly SemaphoreSlim _calls = new(64);

    /// <exception cref="IOException">The kernel refused it; the message says why.</exception>
    public static Task SnapshotAsync(string source, string copy, CancellationToken cancellationToken) => CallAsync(() =>
    {
        using var subvolume = FileControl.Open(source);
        var argument = Argument(copy, SnapshotNameOffset);
        BinaryPrimitives.WriteInt64LittleEndian(argument, subvolume.DangerousGetHandle());
        Call(Path.GetDirectoryName(copy)!, SnapshotRequest, argument);
    }, cancellationToken);

    /// <summary>Refuses writes from now on.</summary>
    /// <exception cref="IOException">The kernel refused it; the message says why.</exception>
    public static Task FreezeAsync(string path, CancellationToken cancellationToken) => CallAsync(() =>
    {
        if (!TryGetFlags(path, out var flags))
            throw new IOException($"{path} is no subvolume.");
        SetFlags(path, flags | ReadOnly);
    }, cancellationToken);

    /// <summary>Takes it out of its folder, with those that were made in it. The kernel frees its blocks later.</summary>
    /// <exception cref="IOException">The kernel refused it; the message says why.</exception>
    public static Task DeleteAsync(string path, CancellationToken cancellationToken) => CallAsync(() =>
    {
        try
        {
            Destroy(path);
        }
        catch (IOException)
        {
            // Whoever owns a folder may make subvolumes in it, and the kernel does not delete what has one.
            if (DestroyThoseIn(path) == 0)
                throw;
            Destroy(path);
        }
    }, cancellationToken);

    static void Destroy(string path) => Call(Path.GetDirectoryName(path)!, DestroyRequest, Argument(path, DestroyNameOffset));

    // The innermost first. Whatever the names are, only the kernel says what is a subvolume, and no link is followed.
    static int DestroyThoseIn(string path)
    {
        var destroyed = 0;
        foreach (var folder in new DirectoryInfo(path).EnumerateDirectories().Where(static folder => folder.LinkTarget is null).ToList())
        {
            var isSubvolume = TryGetFlags(folder.FullName, out var flags);
            // In one that refuses writes nothing is deleted either.
            if (isSubvolume && (flags & ReadOnly) != 0)
                SetFlags(folder.FullName, flags & ~ReadOnly);
            destroyed += DestroyThoseIn(folder.FullName);
            if (!isSubvolume)
                continue;
            Destroy(folder.FullName);
            destroyed++;
        }

        return destroyed;
    }

    static bool TryGetFlags(string path, out ulong flags)
    {
        var answer = new byte[sizeof(ulong)];
        try
        {
            Call(path, GetFlagsRequest, answer);
        }
        catch (IOException)
        {
            // It is a plain folder.
            flags = 0;
            return false;
        }

        flags = BinaryPrimitives.ReadUInt64LittleEndian(answer);
        return true;
    }

    static void SetFlags(string path, ulong flags)
    {
        var argument = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(argument, flags);
        Call(path, SetFlagsRequest, argument);
    }

    static byte[] Argument(string path, int nameOffset)
    {
        var argument = new byte[ArgumentBytes];
        Encoding.UTF8.GetBytes(Path.GetFileName(path), argument.AsSpan(nameOffset, byte.MaxValue));
        return argument;
    }

    static async Task CallAsync(Action call, CancellationToken cancellationToken)
    {
        await _calls.WaitAsync(cancellationToken);
        try
        {
            await Task.Factory.StartNew(call, cancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        finally
        {
            _calls.Release();
        }
    }

    static void Call(string path, nuint request, byte[] argument)
    {
        using var folder = FileControl.Open(path);
        FileControl.Request(folder, request, ref MemoryMarshal.GetArrayDataReference(argument));
    }
}
