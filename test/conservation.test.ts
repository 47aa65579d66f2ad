import { describeConservation } from './conservation.ts'

describeConservation(1500)
