namespace Tributary.Branching.Storage;

/// <summary>
/// How large the pool's image may be. The file is sparse, so that its disk may be full before the pool is; to the file system inside that is a broken
/// disk, which makes it read-only. So an image never promises more than its disk had free when it was made or grown, less a part for all others.
/// </summary>
internal static class ImageSize
{
    const long Mebibyte = 1L << 20;

    /// <summary>The part of the disk that an image leaves free, one in this many: what ext4 keeps back for root, and at most 1 GiB.</summary>
    const long KeptFreePart = 20;

    const long KeptFreeBytesMax = 1L << 30;

    /// <summary>Bytes that the image may have, the configuration's limit included.</summary>
    public static async Task<long> AllowedAsync(string image, long bytesMax, CancellationToken cancellationToken)
    {
        var disk = new DriveInfo(Path.GetDirectoryName(image)!);
        var room = disk.AvailableFreeSpace - Math.Min(disk.TotalSize / KeptFreePart, KeptFreeBytesMax);
        return Math.Min(bytesMax, (await TakenAsync(image, cancellationToken) + Math.Max(0, room)) / Mebibyte * Mebibyte);
    }

    /// <summary>A sentence when others have taken so much of the disk since that the image can no longer be filled; else null.</summary>
    public static async Task<string?> ShortageAsync(string image, CancellationToken cancellationToken)
    {
        var missing = new FileInfo(image).Length - await TakenAsync(image, cancellationToken);
        var free = new DriveInfo(Path.GetDirectoryName(image)!).AvailableFreeSpace;
        return free >= missing
            ? null
            : $"{image} may still take {missing / Mebibyte} MiB, and its disk has {free / Mebibyte} MiB free; when the disk is full before the pool is, the pool becomes read-only: free some";
    }

    static async Task<long> TakenAsync(string image, CancellationToken cancellationToken) =>
        File.Exists(image) ? (await StorageCommand.TotalBytesAsync([image], cancellationToken)).GetValueOrDefault(image) : 0;
}
