namespace Tributary.Branching;

/// <summary>Where main, which all branches descend from, has its data from.</summary>
public enum FollowingMode
{
    /// <summary>Main is a physical standby of production: its exact copy, always at the present.</summary>
    Physical,

    /// <summary>
    /// Main is a Postgres of its own that production's rows and changes of the schema are streamed into: of any major version, from wherever a
    /// role may replicate. It holds one database.
    /// </summary>
    Logical,

    /// <summary>Main is a Postgres of its own, empty at first. What is in it comes by imports of dumps.</summary>
    None,
}
