from dockd.reader.child import main

main()
